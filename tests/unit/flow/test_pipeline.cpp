#include <algorithm>
#include <chrono>
#include <cstddef>
#include <signal.h>
#include <sys/resource.h>
#include <thread>

#include "tests/unit/flow/fixture.h"
#include "userspace/common/json.h"
#include "userspace/flow/pipeline.h"

using namespace raind;
using namespace raind::flow;
using namespace raind::flow::test;

namespace {

struct Fixture {
    TempDir dir = *TempDir::make("/tmp", "raind-flow-");
    IdentityTable table;
    std::unique_ptr<Pipeline> pipeline;

    explicit Fixture(PipelineOptions options = {}) {
        fill(table);
        options.folder = dir.path();
        options.node = "node-1";
        pipeline = *Pipeline::start(options, table);
    }
    std::vector<Json> lines(const char* file, std::string_view type) const {
        std::vector<Json> out;
        const std::string text = *tail_lines(dir.path() / file, 1'000'000, 1U << 30);
        std::size_t at = 0;
        while (at < text.size()) {
            const std::size_t end = text.find('\n', at);
            auto json = parse_json(std::string_view(text).substr(at, end - at));
            REQUIRE(json.has_value());
            if ((*json)["event_type"] == type)
                out.push_back(*std::move(json));
            at = end + 1;
        }
        return out;
    }
    std::uint64_t lost(std::string_view where) const {
        std::uint64_t out = 0;
        for (const Json& line : lines(kNetflowFile, "log.lost"))
            if (line["where"] == where)
                out += line["count"].get<std::uint64_t>();
        return out;
    }
};

raind_event of_flow(raind_event event, std::uint64_t id) {
    event.flow_id = id;
    event.time = boottime_ns();
    event.started = event.type == RAIND_EV_NEW ? 0 : event.time;
    return event;
}

}  // namespace

TEST_CASE("first packets and denials go to netflow, ends and cuts to flow") {
    Fixture f;
    raind_event cut = of_flow(end_of_flow(), 2);
    cut.type = RAIND_EV_CUT;
    f.pipeline->push(of_flow(allow(), 1));
    f.pipeline->push(of_flow(allow(), 2));
    f.pipeline->push(deny());
    f.pipeline->push(of_flow(end_of_flow(), 1));
    f.pipeline->push(cut);
    f.pipeline->flush();
    CHECK(f.lines(kNetflowFile, "log.netflow").size() == 3);
    CHECK(f.lines(kFlowFile, "log.flow").size() == 2);
    const auto stats = f.pipeline->stats();
    CHECK(stats.pushed == 5);
    CHECK(stats.netflow_written == 3);
    CHECK(stats.flow_written == 2);
}

TEST_CASE("every flow has one netflow record, whatever is missing or out of order") {
    Fixture f;
    f.pipeline->push(of_flow(end_of_flow(), 1));
    f.pipeline->flush();
    CHECK(f.lines(kNetflowFile, "log.netflow").size() == 1);
    f.pipeline->push(of_flow(allow(), 1));
    f.pipeline->push(of_flow(end_of_flow(), 2));
    raind_event older = of_flow(end_of_flow(), 3);
    older.started = 1;
    f.pipeline->push(older);
    f.pipeline->flush();
    const auto records = f.lines(kNetflowFile, "log.netflow");
    REQUIRE(records.size() == 2);
    CHECK(records[0]["flow_id"] == "1");
    CHECK(records[0]["verdict"] == "allow");
    CHECK(records[1]["flow_id"] == "2");
    CHECK(f.lines(kFlowFile, "log.flow").size() == 3);
}

TEST_CASE("a record is in the file within 100 ms, without anybody asking") {
    Fixture f;
    const auto begin = std::chrono::steady_clock::now();
    f.pipeline->push(deny());
    while (f.lines(kNetflowFile, "log.netflow").empty() &&
           std::chrono::steady_clock::now() - begin < std::chrono::seconds(5))
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto took = std::chrono::steady_clock::now() - begin;
    CHECK(f.lines(kNetflowFile, "log.netflow").size() == 1);
    WARN(took < std::chrono::milliseconds(100));
    CHECK(took < std::chrono::milliseconds(1000));
}

TEST_CASE("what does not fit into the queue is counted exactly, per container") {
    Fixture f({.queue = 64});
    constexpr std::uint64_t kEvents = 300'000;
    for (std::uint64_t i = 0; i < kEvents; ++i) {
        raind_event event = deny();
        event.src_ep = i % 3 == 0 ? kWebEp : kDbEp;
        f.pipeline->push(event);
    }
    f.pipeline->flush();
    f.pipeline->flush();
    const auto stats = f.pipeline->stats();
    CHECK(stats.overflow > 0);
    CHECK(stats.pushed + stats.overflow == kEvents);
    CHECK(stats.netflow_written == stats.pushed);
    CHECK(f.lines(kNetflowFile, "log.netflow").size() == stats.pushed);
    CHECK(f.lost("reader") == stats.overflow);
    for (const Json& line : f.lines(kNetflowFile, "log.lost"))
        CHECK(line.contains("container_name"));
}

TEST_CASE("records of another version or size are losses") {
    Fixture f;
    raind_event event = deny();
    event.version = 2;
    f.pipeline->push(event);
    const std::array<std::byte, 100> part{};
    f.pipeline->push(std::span<const std::byte>(part));
    event = deny();
    event.type = 99;
    f.pipeline->push(std::as_bytes(std::span(&event, 1)));
    f.pipeline->flush();
    CHECK(f.pipeline->stats().malformed == 3);
    CHECK(f.lost("reader.format") == 3);
}

TEST_CASE("losses of the kernel are said with the container to blame") {
    Fixture f;
    raind_event event = deny();
    event.type = RAIND_EV_LOST;
    event.lost_kind = RAIND_LOST_TOKENS;
    event.count = 1234;
    f.pipeline->push(event);
    f.pipeline->flush();
    const auto lost = f.lines(kNetflowFile, "log.lost");
    REQUIRE(lost.size() == 1);
    CHECK(lost[0]["where"] == "kernel.tokens");
    CHECK(lost[0]["count"] == 1234);
    CHECK(lost[0]["container_name"] == "web");
}

TEST_CASE("a full disk loses records, says how many, and recovers by itself") {
    Fixture f;
    f.pipeline->push(deny());
    f.pipeline->flush();
    signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
    const rlimit none{1, old.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &none) == 0);
    for (int i = 0; i < 50; ++i) {
        f.pipeline->push(deny());
        f.pipeline->push(of_flow(end_of_flow(), 0));
    }
    f.pipeline->flush();
    CHECK(f.pipeline->stats().netflow_lost == 50);
    CHECK(f.pipeline->stats().flow_lost == 50);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &old) == 0);
    f.pipeline->push(deny());
    f.pipeline->flush();
    CHECK(f.lines(kNetflowFile, "log.netflow").size() == 2);
    CHECK(f.lost("writer.netflow") == 50);
    CHECK(f.lost("writer.flow") == 50);
}

TEST_CASE("files rotate, are bounded, and nothing is lost between them") {
    Fixture f({.file = {.rotate_bytes = 100'000, .backups = 5, .mode = 0640}});
    for (int i = 0; i < 600; ++i) {
        f.pipeline->push(deny());
        if (i % 20 == 0)
            f.pipeline->flush();
    }
    f.pipeline->flush();
    const auto path = f.dir.path() / kNetflowFile;
    CHECK(stdfs::exists(path.string() + ".1"));
    CHECK(stdfs::file_size(path) <= 100'000);
    CHECK(stdfs::file_size(path.string() + ".1") <= 100'000);
    CHECK((stdfs::status(path).permissions() & stdfs::perms::mask) == stdfs::perms(0640));
    CHECK(f.lines(kNetflowFile, "log.netflow").size() == 600);
}

TEST_CASE("what was pushed before the end is written") {
    const auto dir = *TempDir::make("/tmp", "raind-flow-");
    IdentityTable table;
    fill(table);
    {
        auto pipeline = *Pipeline::start({.folder = dir.path(), .node = "n"}, table);
        for (int i = 0; i < 1000; ++i)
            pipeline->push(deny());
        pipeline->losses().add("reader", 1);
    }
    const std::string text = *tail_lines(dir.path() / kNetflowFile, 100'000, 1U << 30);
    CHECK(std::ranges::count(text, '\n') == 1001);
    CHECK(text.find("log.lost") != std::string::npos);
}

TEST_CASE("a folder that is not there is an error") {
    IdentityTable table;
    CHECK_FALSE(Pipeline::start({.folder = "/nonexistent/raind", .node = "n"}, table).has_value());
}

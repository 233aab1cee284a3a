// A process that is killed in the middle of its work: what it was told is kept is there, and what
// belongs together is there as a whole.
#include <random>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store/fixture.h"

using namespace raind;
using namespace raind::store;
using test::Fixture;

namespace {

constexpr int kRounds = 12;

// One change over four tables: a container with its identity and address, the counter of changes,
// and now and then the removal of an older one.
Status change(Store& store, int number) {
    RAIND_TRY(Transaction transaction, store.begin());
    RAIND_TRY(const auto identity, store.identities().number_for(IdentityKind::Workload,
                                                                 fmt::format("name-{}", number)));
    core::ContainerRecord record = test::container(number, identity);
    record.ip4 = IpAddress::v4(0x0aa60000U + static_cast<std::uint32_t>(number));
    RAIND_CHECK(store.containers().insert(record));
    RAIND_CHECK(store.ipam().assign({"raind0", record.ip4, {}, record.id, {1}, {}}));
    if (number % 3 == 0 && number > 3) {
        const std::string old = test::container(number - 1).id;
        RAIND_CHECK(store.containers().remove(old));
        RAIND_CHECK(store.ipam().release(old, {2}));
    }
    RAIND_CHECK(store.settings().set("changes", std::to_string(number)));
    return transaction.commit();
}

[[noreturn]] void work(const std::string& folder, int pipe_end) {
    auto store = Store::open(folder);
    if (!store)
        _exit(1);
    const auto done = (*store)->settings().get("changes");
    for (int number = *done ? std::stoi(**done) + 1 : 1;; ++number) {
        if (!change(**store, number))
            _exit(2);
        if (write(pipe_end, &number, sizeof(number)) != sizeof(number))
            _exit(3);
    }
}

void check_whole(Store& store, int acknowledged) {
    const auto changes = store.settings().get("changes");
    REQUIRE(changes->has_value());
    const int stored = std::stoi(**changes);
    CHECK(stored >= acknowledged);
    CHECK(stored <= acknowledged + 1);
    const auto containers = *store.containers().list();
    std::size_t assigned = 0;
    const auto allocations = *store.ipam().allocations("raind0");
    for (const auto& allocation : allocations)
        assigned += allocation.container_id.empty() ? 0 : 1;
    CHECK(assigned == containers.size());
    CHECK(store.identities().all(IdentityKind::Workload)->size() ==
          static_cast<std::size_t>(stored));
    const int removed = stored / 3 - (stored >= 3 ? 1 : 0);
    CHECK(containers.size() == static_cast<std::size_t>(stored - removed));
}

}  // namespace

TEST_CASE("a killed writer loses nothing it was told is kept, and leaves nothing half") {
    Fixture f;
    REQUIRE(f.store->ipam().insert_pool(test::pool()).has_value());
    f.store.reset();
    std::mt19937 random(static_cast<unsigned>(getpid()));
    int acknowledged = 0;
    for (int round = 0; round < kRounds; ++round) {
        int ends[2];
        REQUIRE(pipe(ends) == 0);
        UniqueFd in(ends[0]);
        UniqueFd out(ends[1]);
        const pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0)
            work(f.folder(), out.get());
        out.reset();
        // At least one change, then the end at any point of a later one.
        int number = 0;
        REQUIRE(read(in.get(), &number, sizeof(number)) == sizeof(number));
        acknowledged = number;
        usleep(static_cast<useconds_t>(random() % 20'000));
        kill(child, SIGKILL);
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        while (read(in.get(), &number, sizeof(number)) == sizeof(number))
            acknowledged = number;
        f.open();
        check_whole(*f.store, acknowledged);
        f.store.reset();
    }
    CHECK(acknowledged > kRounds);
}

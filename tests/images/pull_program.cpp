// Drives an ImageStore from test scripts. One command, JSON on standard output:
//   pull ROOT REFERENCE [ARCH] | image ROOT REFERENCE DIGEST | collect ROOT [DIGEST...]
//   recover ROOT [DIGEST...] | forget ROOT REFERENCE | keep ROOT [REFERENCE...]
// Options in the environment: PULL_RETRIES, PULL_LOW_SPEED_SECONDS, PULL_MAX_LAYER,
// PULL_AUTHORITIES (folder), PULL_LOGINS (file), PULL_KEEP_SECONDS, PULL_KEEP_BYTES.
#include <cstdio>
#include <cstdlib>
#include <span>

#include "userspace/common/json.h"
#include "userspace/image/extract_child.h"
#include "userspace/image/image_store.h"

using namespace raind;
using namespace raind::image;

namespace {

Json describe(const PulledImage& image) {
    Json layers = Json::array();
    for (const auto& layer : image.layers)
        layers.push_back(layer.string());
    return {{"familiar", image.reference.familiar()},
            {"repository", image.reference.repository()},
            {"fetched", image.fetched_digest.str()},
            {"manifest", image.manifest_digest.str()},
            {"config", image.config_digest.str()},
            {"size", image.size_bytes},
            {"env", image.config.env},
            {"cmd", image.config.cmd},
            {"arch", image.config.platform.arch},
            {"directory", image.directory.string()},
            {"layers", layers}};
}

StoreOptions options_for(const char* root) {
    StoreOptions options;
    options.root = root;
    if (const char* retries = std::getenv("PULL_RETRIES"))
        options.registry.retries = std::atoi(retries);
    if (const char* seconds = std::getenv("PULL_LOW_SPEED_SECONDS"))
        options.registry.low_speed_time = std::chrono::seconds(std::atoi(seconds));
    if (const char* bytes = std::getenv("PULL_MAX_LAYER"))
        options.registry.max_layer_bytes = std::strtoull(bytes, nullptr, 10);
    if (const char* seconds = std::getenv("PULL_KEEP_SECONDS"))
        options.keep.age = std::chrono::seconds(std::atoi(seconds));
    if (const char* bytes = std::getenv("PULL_KEEP_BYTES"))
        options.keep.bytes = std::strtoull(bytes, nullptr, 10);
    if (const char* folder = std::getenv("PULL_AUTHORITIES"))
        options.registry.authorities = folder;
    if (const char* file = std::getenv("PULL_LOGINS"))
        options.credentials = std::make_shared<CredentialStore>(file);
    return options;
}

Result<std::vector<Digest>> digests(std::span<char*> words) {
    std::vector<Digest> out;
    for (const char* word : words) {
        RAIND_TRY(Digest digest, Digest::parse(word));
        out.push_back(std::move(digest));
    }
    return out;
}

Result<Json> pull(ImageStore& store, std::span<char*> words) {
    RAIND_TRY(const Reference reference, Reference::parse(words[0]));
    RAIND_TRY(const Platform platform, Platform::from("", words.size() > 1 ? words[1] : ""));
    Json downloaded = Json::array();
    Json present = Json::array();
    const auto progress = [&](const PullProgress& now) {
        if (now.step == PullProgress::Step::Downloading && now.done == now.total)
            downloaded.push_back(now.layer);
        if (now.step == PullProgress::Step::Present)
            present.push_back(now.layer);
    };
    RAIND_TRY(const PulledImage image, store.pull(reference, platform, progress, {}));
    Json out = describe(image);
    out["downloaded"] = downloaded;
    out["present"] = present;
    return out;
}

Result<Json> run(std::span<char*> words) {
    const std::string_view command = words[0];
    RAIND_TRY(ImageStore store, ImageStore::open(options_for(words[1])));
    const auto rest = words.subspan(2);
    if (command == "collect" || command == "recover") {
        const auto used = [&] { return digests(rest); };
        if (command == "recover") {
            RAIND_CHECK(store.recover(used));
            return Json::object();
        }
        RAIND_TRY(const Collected collected, store.collect(used));
        return Json{{"blobs", collected.blobs}, {"layers", collected.layers}};
    }
    if (command == "keep") {
        std::vector<Reference> recorded;
        for (const char* word : rest) {
            RAIND_TRY(Reference reference, Reference::parse(word));
            recorded.push_back(std::move(reference));
        }
        RAIND_CHECK(store.keep_references(recorded));
        return Json::object();
    }
    if (rest.empty())
        return Error(Errc::InvalidArgument, "too few arguments");
    if (command == "pull")
        return pull(store, rest);
    RAIND_TRY(const Reference reference, Reference::parse(rest[0]));
    if (command == "forget") {
        RAIND_CHECK(store.forget(reference));
        return Json::object();
    }
    if (command == "image" && rest.size() == 2) {
        RAIND_TRY(const Digest digest, Digest::parse(rest[1]));
        return store.image(reference, digest).transform([](PulledImage&& image) {
            return describe(image);
        });
    }
    return Error(Errc::InvalidArgument, "unknown command");
}

}  // namespace

int main(int argc, char** argv) {
    if (const auto code = run_extract_child(argc, argv))
        return *code;
    if (argc < 3)
        return 2;
    const auto result = run(std::span(argv, static_cast<std::size_t>(argc)).subspan(1));
    if (!result) {
        std::printf("%s\n", dump_json({{"error", result.error().message()},
                                       {"status", http_status(result.error().code())}})
                                .c_str());
        return 1;
    }
    std::printf("%s\n", dump_json(*result).c_str());
    return 0;
}

#include "userspace/runtime/image_manager.h"

#include <algorithm>
#include <ctime>
#include <fmt/format.h>

#include "userspace/common/log.h"

namespace raind::runtime {
namespace {

// RFC 3339 of an image's configuration; never when it is absent or not of that form.
WallTime parse_created(const std::string& text) {
    std::tm parts{};
    const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    if (rest == nullptr)
        return {};
    const WallTime time{static_cast<std::int64_t>(timegm(&parts)) * 1'000'000'000};
    // Reproducible builds state the epoch itself, which stands for never here: one nanosecond more.
    return time.is_never() ? WallTime{1} : time;
}

ImageDefaults to_defaults(const image::ImageConfig& config) {
    return {.env = config.env,
            .entrypoint = config.entrypoint,
            .command = config.cmd,
            .user = config.user,
            .working_dir = config.working_dir,
            .stop_signal = config.stop_signal};
}

api::ImageInfo to_info(const core::ImageRecord& record) {
    return {.repository = record.repository,
            .reference = record.reference,
            .created_at = rfc3339(record.created_at),
            .digest = record.manifest_digest,
            .size_bytes = record.size_bytes};
}

Result<image::Reference> reference_of(const std::string& repository, const std::string& reference) {
    const char separator = reference.starts_with("sha256:") ? '@' : ':';
    return image::Reference::parse(fmt::format("{}{}{}", repository, separator, reference));
}

}  // namespace

Result<std::vector<image::Digest>> ImageManager::used_manifests() {
    std::vector<image::Digest> used;
    RAIND_TRY(const auto images, store_.images().list());
    for (const core::ImageRecord& record : images) {
        RAIND_TRY(image::Digest digest, image::Digest::parse(record.manifest_digest));
        used.push_back(std::move(digest));
    }
    RAIND_TRY(const auto containers, store_.containers().list());
    for (const core::ContainerRecord& record : containers) {
        RAIND_TRY(image::Digest digest, image::Digest::parse(record.image_digest));
        used.push_back(std::move(digest));
    }
    return used;
}

Status ImageManager::recover() {
    const std::lock_guard lock(records_mutex_);
    RAIND_TRY(const auto images, store_.images().list());
    std::vector<image::Reference> recorded;
    for (const core::ImageRecord& record : images) {
        RAIND_TRY(image::Reference reference, reference_of(record.repository, record.reference));
        recorded.push_back(std::move(reference));
    }
    RAIND_CHECK(files_.keep_references(recorded));
    return files_.recover([this] { return used_manifests(); });
}

Result<core::ImageRecord> ImageManager::find(const image::Reference& reference) {
    RAIND_TRY(const auto record,
              store_.images().find(reference.repository(), reference.reference()));
    if (!record)
        return Error(Errc::NotFound, fmt::format("image: {} not found", reference.familiar()));
    return *record;
}

Result<core::ImageRecord> ImageManager::pull_reference(const image::Reference& reference,
                                                       const image::Platform& platform,
                                                       const std::stop_token& stop) {
    RAIND_TRY(const image::PulledImage pulled, files_.pull(reference, platform, {}, stop));
    core::ImageRecord record{.repository = reference.repository(),
                             .reference = reference.reference(),
                             .manifest_digest = pulled.manifest_digest.str(),
                             .config_digest = pulled.config_digest.str(),
                             .size_bytes = pulled.size_bytes,
                             .created_at = parse_created(pulled.config.created),
                             .pulled_at = wall_now()};
    // The image store gives the topmost first; a record holds the lowest first.
    for (const auto& layer : pulled.layers)
        record.layers.insert(record.layers.begin(), layer.filename().string());
    const std::lock_guard lock(records_mutex_);
    RAIND_CHECK(store_.images().put(record));
    return record;
}

Status ImageManager::pull(const api::ImageRequest& request, std::stop_token stop) {
    RAIND_TRY(const image::Reference reference, image::Reference::parse(request.image));
    RAIND_TRY(const image::Platform platform, image::Platform::from(request.os, request.arch));
    RAIND_CHECK(pull_reference(reference, platform, stop));
    return {};
}

Result<UsableImage> ImageManager::ensure(const std::string& text) {
    RAIND_TRY(const image::Reference reference, image::Reference::parse(text));
    auto record = find(reference);
    if (!record && record.error().code() == Errc::NotFound)
        record = pull_reference(reference, image::Platform::host(), {});
    if (!record)
        return std::move(record.error());
    RAIND_TRY(const image::Digest digest, image::Digest::parse(record->manifest_digest));
    RAIND_TRY(const image::PulledImage image, files_.image(reference, digest));
    return UsableImage{.record = std::move(*record), .defaults = to_defaults(image.config)};
}

Result<ImageDefaults> ImageManager::defaults(const core::ContainerRecord& container) {
    RAIND_TRY(const image::Reference reference,
              reference_of(container.image_repository, container.image_reference));
    RAIND_TRY(const image::Digest digest, image::Digest::parse(container.image_digest));
    RAIND_TRY(const image::PulledImage image, files_.image(reference, digest));
    return to_defaults(image.config);
}

std::vector<stdfs::path> ImageManager::layer_paths(
    const std::vector<std::string>& chain_ids) const {
    std::vector<stdfs::path> paths;
    for (const std::string& id : chain_ids)
        paths.push_back(layers_ / id);
    return paths;
}

Result<std::vector<api::ImageInfo>> ImageManager::list() {
    RAIND_TRY(const auto records, store_.images().list());
    std::vector<api::ImageInfo> out;
    for (const core::ImageRecord& record : records)
        out.push_back(to_info(record));
    return out;
}

Result<api::ImageInfo> ImageManager::status(const std::string& text) {
    RAIND_TRY(const image::Reference reference, image::Reference::parse(text));
    RAIND_TRY(const core::ImageRecord record, find(reference));
    RAIND_TRY(const image::Digest digest, image::Digest::parse(record.manifest_digest));
    RAIND_TRY(const image::PulledImage image, files_.image(reference, digest));
    api::ImageInfo info = to_info(record);
    info.id = record.config_digest;
    if (!record.reference.starts_with("sha256:"))
        info.repo_tags = {record.repository + ":" + record.reference};
    info.repo_digests = {record.repository + "@" + record.manifest_digest};
    info.user = image.config.user;
    return info;
}

Status ImageManager::remove(const std::string& text) {
    RAIND_TRY(const image::Reference reference, image::Reference::parse(text));
    const std::lock_guard lock(records_mutex_);
    RAIND_TRY(const core::ImageRecord record, find(reference));
    RAIND_TRY(const auto containers, store_.containers().list());
    const auto user = std::ranges::find_if(containers, [&](const core::ContainerRecord& container) {
        return container.image_repository == record.repository &&
               container.image_reference == record.reference;
    });
    if (user != containers.end())
        return Error(Errc::Conflict, fmt::format("image: {} is used by container {}",
                                                 reference.familiar(), user->name));
    RAIND_CHECK(store_.images().remove(record.repository, record.reference));
    RAIND_CHECK(files_.forget(reference));
    if (auto collected = files_.collect([this] { return used_manifests(); }); !collected)
        log::warning("image files that nothing uses remain: {}", collected.error().message());
    return {};
}

Result<std::string> ImageManager::login(const api::LoginRequest& request, std::stop_token stop) {
    RAIND_TRY(std::string registry, image::parse_registry(request.registry));
    RAIND_CHECK(
        files_.login(registry, {.user = request.username, .password = request.password}, stop));
    log::info("registry {}: logged in", registry);
    return registry;
}

Result<api::LogoutResult> ImageManager::logout(const std::string& text) {
    RAIND_TRY(std::string registry, image::parse_registry(text));
    RAIND_TRY(const bool removed, files_.logout(registry));
    return api::LogoutResult{.registry = std::move(registry), .removed = removed};
}

}  // namespace raind::runtime

#include "userspace/image/layer_reader.h"

#include <algorithm>
#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "userspace/common/text.h"

namespace raind::image {

namespace {

struct ArchiveCloser {
    void operator()(archive* a) const { archive_read_free(a); }
};
using ArchivePtr = std::unique_ptr<archive, ArchiveCloser>;

Error refuse(std::string what) {
    return {Errc::InvalidArgument, std::move(what)};
}

// Carries the source through libarchive's callback, and its error back out.
struct Feed {
    LayerSource* source;
    std::optional<Error> error;
};

la_ssize_t feed_next(archive* a, void* client, const void** buffer) {
    auto* feed = static_cast<Feed*>(client);
    auto bytes = feed->source->next();
    if (!bytes) {
        feed->error = std::move(bytes.error());
        archive_set_error(a, EINVAL, "the stream is broken");
        return ARCHIVE_FATAL;
    }
    *buffer = bytes->data();
    return static_cast<la_ssize_t>(bytes->size());
}

Error archive_failed(archive* a, const Feed& feed) {
    if (feed.error)
        return *feed.error;
    const char* text = archive_error_string(a);
    return refuse(fmt::format("not a valid tar archive: {}",
                              printable(text != nullptr ? text : "unknown fault")));
}

class Extraction {
  public:
    Extraction(archive* a, Feed& feed, LayerWriter& writer, const ExtractLimits& limits)
        : archive_(a), feed_(&feed), writer_(&writer), limits_(limits) {}

    Status entry(archive_entry* entry);
    const LayerStats& stats() const { return stats_; }

  private:
    Status content(const EntryName& name, archive_entry* entry, const EntryMeta& meta);
    Status link(const EntryName& name, const char* target);
    Status dispatch(const EntryName& name, archive_entry* entry);
    Result<EntryMeta> read_meta(archive_entry* entry);
    Status account(std::uint64_t bytes);

    archive* archive_;
    Feed* feed_;
    LayerWriter* writer_;
    ExtractLimits limits_;
    LayerStats stats_;
    std::set<std::string> devices_;  // left out
};

Status Extraction::account(std::uint64_t bytes) {
    // A sparse file claims a size that the stream does not have.
    if (bytes > limits_.max_bytes || stats_.bytes > limits_.max_bytes - bytes)
        return Error(Errc::TooLarge, fmt::format("files of more than {} bytes", limits_.max_bytes));
    stats_.bytes += bytes;
    return {};
}

Result<EntryMeta> Extraction::read_meta(archive_entry* entry) {
    constexpr la_int64_t kMaxId = 0xfffffffe;
    const la_int64_t uid = archive_entry_uid(entry);
    const la_int64_t gid = archive_entry_gid(entry);
    if (uid < 0 || uid > kMaxId || gid < 0 || gid > kMaxId)
        return refuse("owner out of range");
    EntryMeta meta;
    meta.permissions = archive_entry_perm(entry) & 07777U;
    meta.uid = static_cast<uid_t>(uid);
    meta.gid = static_cast<gid_t>(gid);
    meta.mtime.tv_sec = archive_entry_mtime(entry);
    meta.mtime.tv_nsec = std::clamp(archive_entry_mtime_nsec(entry), 0L, 999'999'999L);
    std::uint64_t total = 0;
    archive_entry_xattr_reset(entry);
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
        if (name == nullptr || !keeps_xattr(name)) {
            ++stats_.dropped_xattrs;
            continue;
        }
        const std::string_view text(name);
        total += text.size() + size;
        if (total > limits_.max_xattr_bytes || text.size() > 255)
            return refuse(fmt::format("more than {} bytes of attributes", limits_.max_xattr_bytes));
        meta.xattrs.emplace_back(text, std::string(static_cast<const char*>(value), size));
    }
    return meta;
}

Status Extraction::content(const EntryName& name, archive_entry* entry, const EntryMeta& meta) {
    const la_int64_t size = archive_entry_size(entry);
    if (size < 0)
        return refuse("negative size");
    RAIND_CHECK(account(static_cast<std::uint64_t>(size)));
    RAIND_TRY(const UniqueFd file, writer_->begin_file(name));
    const void* block = nullptr;
    std::size_t length = 0;
    la_int64_t offset = 0;
    while (true) {
        const int status = archive_read_data_block(archive_, &block, &length, &offset);
        if (status == ARCHIVE_EOF)
            break;
        if (status < ARCHIVE_WARN)
            return archive_failed(archive_, *feed_);
        if (offset < 0 || offset > size || static_cast<la_int64_t>(length) > size - offset)
            return refuse("content beyond the size of the file");
        const char* from = static_cast<const char*>(block);
        while (length > 0) {
            const ssize_t n = ::pwrite(file.get(), from, length, offset);
            if (n < 0)
                return os_error("write");
            from += n;
            offset += n;
            length -= static_cast<std::size_t>(n);
        }
    }
    if (::ftruncate(file.get(), size) != 0)
        return os_error("set size");
    return LayerWriter::finish_file(file.get(), meta);
}

Status Extraction::link(const EntryName& name, const char* target) {
    auto to = parse_entry_name(target, limits_);
    if (!to)
        return std::move(to.error())
            .context(fmt::format("hard link to '{}'",
                                 printable(std::string_view(target).substr(0, 256))));
    // Another name of what was left out.
    if (devices_.contains(to->path())) {
        ++stats_.skipped_devices;
        return {};
    }
    return writer_->hard_link(name, *to,
                              [this](std::uint64_t bytes) { return feed_->source->copied(bytes); });
}

Status Extraction::dispatch(const EntryName& name, archive_entry* entry) {
    RAIND_TRY(const Whiteout whiteout, parse_whiteout(name.leaf));
    if (whiteout.kind != WhiteoutKind::None)
        return writer_->whiteout(name, whiteout);
    if (const char* target = archive_entry_hardlink(entry); target != nullptr)
        return link(name, target);
    RAIND_TRY(const EntryMeta meta, read_meta(entry));
    switch (archive_entry_filetype(entry)) {
        case AE_IFREG:
            return content(name, entry, meta);
        case AE_IFDIR:
            return writer_->folder(name, meta);
        case AE_IFLNK: {
            const char* target = archive_entry_symlink(entry);
            if (target == nullptr || *target == '\0')
                return refuse("symbolic link without a target");
            return writer_->symlink(name, target, meta);
        }
        case AE_IFIFO:
            return writer_->fifo(name, meta);
        case AE_IFCHR:
        case AE_IFBLK:
            ++stats_.skipped_devices;
            devices_.insert(name.path());
            return {};
        default:
            break;
    }
    return refuse("kind of entry that a layer cannot hold");
}

Status Extraction::entry(archive_entry* entry) {
    if (++stats_.entries > limits_.max_entries)
        return Error(Errc::TooLarge, fmt::format("more than {} entries", limits_.max_entries));
    const char* raw = archive_entry_pathname(entry);
    if (raw == nullptr)
        return refuse(fmt::format("entry {} has no readable name", stats_.entries));
    const auto what = fmt::format("entry '{}'", printable(std::string_view(raw).substr(0, 256)));
    const auto name = parse_entry_name(raw, limits_);
    if (!name)
        return Error(name.error()).context(what);
    if (is_reserved_name(name->leaf) || std::ranges::any_of(name->parents, is_reserved_name))
        return {};
    // A name in the middle of a path that is a whiteout would make a folder called ".wh.x".
    for (const std::string& part : name->parents) {
        if (part.starts_with(".wh."))
            return refuse("whiteout name used as a folder").context(what);
    }
    return dispatch(*name, entry).context(what);
}

}  // namespace

Result<LayerStats> extract_layer(LayerSource& source, LayerWriter& writer,
                                 const ExtractLimits& limits) {
    const ArchivePtr a(archive_read_new());
    Feed feed{.source = &source, .error = {}};
    if (!a || archive_read_support_format_tar(a.get()) != ARCHIVE_OK ||
        archive_read_support_format_empty(a.get()) != ARCHIVE_OK)
        return Error(Errc::Internal, "libarchive cannot read tar");
    if (archive_read_open(a.get(), &feed, nullptr, feed_next, nullptr) != ARCHIVE_OK)
        return archive_failed(a.get(), feed);
    Extraction extraction(a.get(), feed, writer, limits);
    while (true) {
        archive_entry* entry = nullptr;
        const int status = archive_read_next_header(a.get(), &entry);
        if (status == ARCHIVE_EOF)
            break;
        if (status < ARCHIVE_WARN)
            return archive_failed(a.get(), feed);
        RAIND_CHECK(extraction.entry(entry));
    }
    RAIND_CHECK(writer.finish());
    return extraction.stats();
}

}  // namespace raind::image

#include "tests/unit/image/tar_builder.h"

#include <archive.h>
#include <archive_entry.h>
#include <clocale>
#include <memory>
#include <stdexcept>
#include <zstd.h>

namespace raind::image::test {

namespace {

la_ssize_t append(archive*, void* client, const void* bytes, std::size_t length) {
    static_cast<std::string*>(client)->append(static_cast<const char*>(bytes), length);
    return static_cast<la_ssize_t>(length);
}

void check(archive* a, int status) {
    if (status != ARCHIVE_OK)
        throw std::runtime_error(archive_error_string(a));
}

unsigned file_type(char type) {
    switch (type) {
        case 'd':
            return AE_IFDIR;
        case 'l':
            return AE_IFLNK;
        case 'p':
            return AE_IFIFO;
        case 'c':
            return AE_IFCHR;
        case 'b':
            return AE_IFBLK;
        default:
            return AE_IFREG;
    }
}

void write_entry(archive* a, const Entry& e) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, e.name.c_str());
    archive_entry_set_filetype(entry, file_type(e.type));
    archive_entry_set_perm(entry, static_cast<__LA_MODE_T>(e.mode));
    archive_entry_set_uid(entry, e.uid);
    archive_entry_set_gid(entry, e.gid);
    archive_entry_set_mtime(entry, e.mtime, 0);
    if (e.type == 'l')
        archive_entry_set_symlink(entry, e.content.c_str());
    if (e.type == 'h')
        archive_entry_set_hardlink(entry, e.content.c_str());
    if (e.type == 'c' || e.type == 'b')
        archive_entry_set_rdev(entry, static_cast<dev_t>(0x0103));
    if (e.type == 'f')
        archive_entry_set_size(entry, static_cast<la_int64_t>(e.content.size()));
    if (e.claimed_size >= 0) {
        archive_entry_set_size(entry, e.claimed_size);
        archive_entry_sparse_add_entry(entry, 0, static_cast<la_int64_t>(e.content.size()));
    }
    for (const auto& [name, value] : e.xattrs)
        archive_entry_xattr_add_entry(entry, name.c_str(), value.data(), value.size());
    check(a, archive_write_header(a, entry));
    if (e.type == 'f')
        archive_write_data(a, e.content.data(), e.content.size());
    archive_entry_free(entry);
}

}  // namespace

std::string make_tar(const std::vector<Entry>& entries) {
    std::setlocale(LC_CTYPE, "C.UTF-8");
    std::string bytes;
    archive* a = archive_write_new();
    check(a, archive_write_set_format_pax_restricted(a));
    check(a, archive_write_set_bytes_in_last_block(a, 1));
    check(a, archive_write_open(a, &bytes, nullptr, append, nullptr));
    for (const Entry& entry : entries)
        write_entry(a, entry);
    check(a, archive_write_close(a));
    archive_write_free(a);
    return bytes;
}

std::string gzip(const std::string& bytes) {
    std::string out;
    archive* a = archive_write_new();
    check(a, archive_write_set_format_raw(a));
    check(a, archive_write_add_filter_gzip(a));
    check(a, archive_write_set_bytes_in_last_block(a, 1));
    check(a, archive_write_open(a, &out, nullptr, append, nullptr));
    archive_entry* entry = archive_entry_new();
    archive_entry_set_filetype(entry, AE_IFREG);
    check(a, archive_write_header(a, entry));
    archive_write_data(a, bytes.data(), bytes.size());
    archive_entry_free(entry);
    check(a, archive_write_close(a));
    archive_write_free(a);
    return out;
}

std::string zstd(const std::string& bytes) {
    const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(),
                                                                       &ZSTD_freeCCtx);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
    std::string out(ZSTD_compressBound(bytes.size()), '\0');
    const std::size_t size =
        ZSTD_compress2(context.get(), out.data(), out.size(), bytes.data(), bytes.size());
    out.resize(ZSTD_isError(size) != 0 ? 0 : size);
    return out;
}

}  // namespace raind::image::test

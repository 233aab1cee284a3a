#include "userspace/image/extra_authority.h"

#include <cerrno>
#include <fmt/format.h>
#include <memory>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include "userspace/common/fs.h"

namespace raind::image {

namespace {

constexpr std::size_t kMaxFile = 1U << 20;

struct BioFree {
    void operator()(BIO* bio) const { BIO_free(bio); }
};
struct CertificateFree {
    void operator()(X509* certificate) const { X509_free(certificate); }
};

}  // namespace

Result<int> count_certificates(const std::string& pem) {
    const std::unique_ptr<BIO, BioFree> bio(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    if (!bio)
        return Error(Errc::Exhausted, "no memory for a certificate");
    ERR_clear_error();
    int count = 0;
    while (true) {
        const std::unique_ptr<X509, CertificateFree> certificate(
            PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
        if (!certificate)
            break;
        ++count;
    }
    const auto last = ERR_peek_last_error();
    const bool at_end =
        ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (!at_end)
        return Error(Errc::InvalidArgument,
                     fmt::format("certificate {} in it is broken", count + 1));
    if (count == 0)
        return Error(Errc::InvalidArgument, "no PEM certificate in it");
    return count;
}

Result<ExtraAuthority> load_authority(const std::filesystem::path& folder,
                                      const std::string& registry) {
    if (folder.empty())
        return ExtraAuthority{};
    const auto own = folder / registry;
    ExtraAuthority authority{.file = own / "ca.crt", .pem = {}};
    struct stat info{};
    if (::lstat(own.c_str(), &info) != 0 && errno == ENOENT)
        return authority;
    const auto what = fmt::format("the certificate authority of {}", registry);
    auto pem = read_file(authority.file, kMaxFile);
    if (!pem && pem.error().code() == Errc::NotFound)
        return Error(Errc::Conflict,
                     fmt::format("{}: {} is missing; put the authority's certificate there, or "
                                 "remove the folder",
                                 what, authority.file.string()));
    if (!pem)
        return std::move(pem.error()).with_code(Errc::Conflict).context(what);
    if (auto count = count_certificates(*pem); !count)
        return Error(Errc::Conflict, fmt::format("{}: {}: {}", what, authority.file.string(),
                                                 count.error().message()));
    authority.pem = std::move(*pem);
    return authority;
}

}  // namespace raind::image

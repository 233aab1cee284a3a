#include "userspace/pki/x509.h"

#include <arpa/inet.h>
#include <array>
#include <ctime>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace raind::pki {

namespace {

struct BioFree {
    void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using BioPtr = std::unique_ptr<BIO, BioFree>;

struct NamesFree {
    void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};
using NamesPtr = std::unique_ptr<GENERAL_NAMES, NamesFree>;

Error crypto_error(std::string_view what) {
    return Error(Errc::Internal, std::string(what) + ": " + openssl_error());
}

BioPtr memory_bio(std::string_view bytes) {
    return BioPtr(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

std::string bio_text(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

// A key file never asks for a passphrase on the terminal.
int no_passphrase(char*, int, int, void*) {
    return -1;
}

std::string_view asn1_text(const ASN1_STRING* text) {
    const auto* bytes = ASN1_STRING_get0_data(text);
    return {reinterpret_cast<const char*>(bytes),
            static_cast<std::size_t>(ASN1_STRING_length(text))};
}

NamesPtr alternative_names(const X509* certificate) {
    return NamesPtr(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
}

TimePoint to_time(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return TimePoint{};
    return TimePoint{std::chrono::seconds(::timegm(&parts))};
}

std::string address_text(const ASN1_OCTET_STRING* bytes) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = ASN1_STRING_length(bytes) == 4 ? AF_INET : AF_INET6;
    if (ASN1_STRING_length(bytes) != 4 && ASN1_STRING_length(bytes) != 16)
        return {};
    ::inet_ntop(family, ASN1_STRING_get0_data(bytes), text.data(), text.size());
    return text.data();
}

}  // namespace

void OpensslFree::operator()(EVP_PKEY* key) const {
    EVP_PKEY_free(key);
}
void OpensslFree::operator()(X509* certificate) const {
    X509_free(certificate);
}

std::string openssl_error() {
    const unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    if (code == 0)
        return "unknown error";
    const char* reason = ERR_reason_error_string(code);
    return reason != nullptr ? reason : "error " + std::to_string(ERR_GET_REASON(code));
}

Result<PrivateKey> PrivateKey::generate() {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    if (key == nullptr)
        return crypto_error("generate key");
    return PrivateKey(key);
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
    const BioPtr bio = memory_bio(pem);
    EVP_PKEY* key =
        bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr) : nullptr;
    if (key == nullptr)
        return crypto_error("read private key");
    return PrivateKey(key);
}

Result<std::string> PrivateKey::to_pem() const {
    const BioPtr bio(BIO_new(BIO_s_secmem()));
    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr,
                                              nullptr) != 1)
        return crypto_error("write private key");
    return bio_text(bio.get());
}

Result<Certificate> Certificate::from_pem(std::string_view pem) {
    const BioPtr bio = memory_bio(pem);
    X509* certificate =
        bio ? PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr) : nullptr;
    if (certificate == nullptr)
        return crypto_error("read certificate");
    return Certificate(certificate);
}

Certificate Certificate::share(X509* certificate) {
    X509_up_ref(certificate);
    return Certificate(certificate);
}

Result<std::string> Certificate::to_pem() const {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    if (!bio || PEM_write_bio_X509(bio.get(), certificate_.get()) != 1)
        return crypto_error("write certificate");
    return bio_text(bio.get());
}

std::string Certificate::fingerprint() const {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (X509_digest(certificate_.get(), EVP_sha256(), digest.data(), &size) != 1)
        return {};
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
        text += kHex[digest[i] >> 4];
        text += kHex[digest[i] & 15];
    }
    return text;
}

std::vector<std::string> Certificate::uri_names() const {
    std::vector<std::string> uris;
    const NamesPtr names = alternative_names(certificate_.get());
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type == GEN_URI)
            uris.emplace_back(asn1_text(name->d.uniformResourceIdentifier));
    }
    return uris;
}

std::vector<std::string> Certificate::host_names() const {
    std::vector<std::string> hosts;
    const NamesPtr names = alternative_names(certificate_.get());
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type == GEN_DNS)
            hosts.emplace_back(asn1_text(name->d.dNSName));
        else if (name->type == GEN_IPADD)
            hosts.push_back(address_text(name->d.iPAddress));
    }
    return hosts;
}

std::string Certificate::common_name() const {
    const X509_NAME* subject = X509_get_subject_name(certificate_.get());
    const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (index < 0)
        return {};
    return std::string(asn1_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index))));
}

bool Certificate::is_ca() const {
    return X509_check_ca(certificate_.get()) == 1;
}

bool Certificate::for_client_use() const {
    constexpr std::uint32_t kAbsent = UINT32_MAX;  // OpenSSL's answer when there is no extension
    const std::uint32_t usage = X509_get_extended_key_usage(certificate_.get());
    return usage != kAbsent && (usage & XKU_SSL_CLIENT) != 0 && !is_ca();
}

TimePoint Certificate::not_before() const {
    return to_time(X509_get0_notBefore(native()));
}
TimePoint Certificate::not_after() const {
    return to_time(X509_get0_notAfter(native()));
}

bool Certificate::belongs_to(const PrivateKey& key) const {
    const bool same = X509_check_private_key(certificate_.get(), key.native()) == 1;
    ERR_clear_error();
    return same;
}

bool Certificate::issued_by(const Certificate& issuer) const {
    const bool named = X509_check_issued(issuer.native(), certificate_.get()) == X509_V_OK;
    const bool is_signed =
        named && X509_verify(certificate_.get(), X509_get0_pubkey(issuer.native())) == 1;
    ERR_clear_error();
    return is_signed;
}

}  // namespace raind::pki

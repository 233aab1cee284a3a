// PrivateKey and Certificate: owning wrappers over OpenSSL's EVP_PKEY and X509, and issue(), which
// makes certificates of the four fixed profiles of the product. Keys are ECDSA P-256, written as
// unencrypted PKCS#8. Objects are immutable after construction and may be read by any thread.
#pragma once

#include <chrono>
#include <memory>
#include <openssl/types.h>
#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"

namespace raind::pki {

using TimePoint = std::chrono::sys_seconds;

struct OpensslFree {
    void operator()(EVP_PKEY* key) const;
    void operator()(X509* certificate) const;
};

class PrivateKey {
  public:
    static Result<PrivateKey> generate();
    static Result<PrivateKey> from_pem(std::string_view pem);

    Result<std::string> to_pem() const;
    EVP_PKEY* native() const { return key_.get(); }

  private:
    explicit PrivateKey(EVP_PKEY* key) : key_(key) {}

    std::unique_ptr<EVP_PKEY, OpensslFree> key_;
};

class Certificate {
  public:
    static Result<Certificate> from_pem(std::string_view pem);
    // Takes a reference of its own; the caller's stays valid.
    static Certificate share(X509* certificate);
    static Certificate adopt(X509* certificate) { return Certificate(certificate); }

    Result<std::string> to_pem() const;
    // SHA-256 over the DER form, lower-case hex.
    std::string fingerprint() const;
    // Every URI in the subject alternative name, in order; an id with a NUL inside is kept whole.
    std::vector<std::string> uri_names() const;
    // DNS names and IP addresses as text.
    std::vector<std::string> host_names() const;
    std::string common_name() const;
    bool is_ca() const;
    // The extended key usage is there and names client authentication.
    bool for_client_use() const;
    TimePoint not_before() const;
    TimePoint not_after() const;
    bool belongs_to(const PrivateKey& key) const;
    bool issued_by(const Certificate& issuer) const;
    X509* native() const { return certificate_.get(); }

  private:
    explicit Certificate(X509* certificate) : certificate_(certificate) {}

    std::unique_ptr<X509, OpensslFree> certificate_;
};

enum class Profile { ServerCa, ClientCa, Server, Client };

struct CertificateSpec {
    Profile profile = Profile::Client;
    std::string common_name;
    std::string organization;  // empty: none
    std::vector<std::string> uris;
    std::vector<std::string> dns_names;
    std::vector<std::string> addresses;  // IPv4 or IPv6 as text
    TimePoint not_before;
    TimePoint not_after;
};

struct Issuer {
    const Certificate& certificate;
    const PrivateKey& key;
};

// issuer == nullptr: self-signed.
Result<Certificate> issue(const CertificateSpec& spec, const PrivateKey& subject_key,
                          const Issuer* issuer);

// The last OpenSSL error of this thread as text, without file names; clears the queue.
std::string openssl_error();

}  // namespace raind::pki

#include <arpa/inet.h>
#include <array>
#include <ctime>
#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "userspace/pki/x509.h"

namespace raind::pki {

namespace {

struct ProfileText {
    const char* basic_constraints;
    const char* key_usage;
    const char* extended_usage;  // nullptr: none
};

ProfileText profile_text(Profile profile) {
    switch (profile) {
        case Profile::ServerCa:
        case Profile::ClientCa:
            // No intermediates below our authorities.
            return {"critical,CA:TRUE,pathlen:0", "critical,keyCertSign,cRLSign", nullptr};
        case Profile::Server:
            return {"critical,CA:FALSE", "critical,digitalSignature", "serverAuth"};
        case Profile::Client:
            break;
    }
    return {"critical,CA:FALSE", "critical,digitalSignature", "clientAuth"};
}

Error failed(std::string_view what) {
    return Error(Errc::Internal,
                 std::string("issue certificate: ").append(what) + ": " + openssl_error());
}

Status set_serial(X509* certificate) {
    constexpr int kSerialBits = 127;  // positive in 16 bytes
    const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(BN_new(), BN_free);
    if (!number || BN_rand(number.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1 ||
        BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr)
        return failed("serial number");
    return {};
}

Status set_times(X509* certificate, const CertificateSpec& spec) {
    const std::time_t begin = spec.not_before.time_since_epoch().count();
    const std::time_t end = spec.not_after.time_since_epoch().count();
    if (ASN1_TIME_set(X509_getm_notBefore(certificate), begin) == nullptr ||
        ASN1_TIME_set(X509_getm_notAfter(certificate), end) == nullptr)
        return failed("validity");
    return {};
}

Status set_names(X509* certificate, const CertificateSpec& spec, const Issuer* issuer) {
    X509_NAME* subject = X509_get_subject_name(certificate);
    const auto add = [subject](const char* field, const std::string& value) {
        return value.empty() ||
               X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                          reinterpret_cast<const unsigned char*>(value.data()),
                                          static_cast<int>(value.size()), -1, 0) == 1;
    };
    if (!add("O", spec.organization) || !add("CN", spec.common_name))
        return failed("subject");
    const X509_NAME* issuer_name =
        issuer != nullptr ? X509_get_subject_name(issuer->certificate.native()) : subject;
    if (X509_set_issuer_name(certificate, issuer_name) != 1)
        return failed("issuer");
    return {};
}

Status add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, value), X509_EXTENSION_free);
    if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1)
        return failed(value);
    return {};
}

// The names are values, never configuration text: no separator in them has a meaning.
Status add_name(GENERAL_NAMES* names, int type, std::string_view bytes) {
    ASN1_STRING* text =
        type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_STRING_type_new(V_ASN1_IA5STRING);
    GENERAL_NAME* name = GENERAL_NAME_new();
    if (text == nullptr || name == nullptr ||
        ASN1_STRING_set(text, bytes.data(), static_cast<int>(bytes.size())) != 1) {
        ASN1_STRING_free(text);
        GENERAL_NAME_free(name);
        return failed("alternative name");
    }
    GENERAL_NAME_set0_value(name, type, text);
    if (sk_GENERAL_NAME_push(names, name) == 0) {
        GENERAL_NAME_free(name);
        return failed("alternative name");
    }
    return {};
}

Status add_address(GENERAL_NAMES* names, const std::string& address) {
    std::array<char, 16> bytes{};
    if (::inet_pton(AF_INET, address.c_str(), bytes.data()) == 1)
        return add_name(names, GEN_IPADD, {bytes.data(), 4});
    if (::inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1)
        return add_name(names, GEN_IPADD, {bytes.data(), 16});
    return Error(Errc::InvalidArgument, "not an IP address: " + address);
}

Status add_alternative_names(X509* certificate, const CertificateSpec& spec) {
    if (spec.uris.empty() && spec.dns_names.empty() && spec.addresses.empty())
        return {};
    const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names(GENERAL_NAMES_new(),
                                                                              GENERAL_NAMES_free);
    if (!names)
        return failed("alternative names");
    for (const std::string& uri : spec.uris)
        RAIND_CHECK(add_name(names.get(), GEN_URI, uri));
    for (const std::string& dns : spec.dns_names)
        RAIND_CHECK(add_name(names.get(), GEN_DNS, dns));
    for (const std::string& address : spec.addresses)
        RAIND_CHECK(add_address(names.get(), address));
    if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_APPEND) !=
        1)
        return failed("alternative names");
    return {};
}

}  // namespace

Result<Certificate> issue(const CertificateSpec& spec, const PrivateKey& subject_key,
                          const Issuer* issuer) {
    X509* raw = X509_new();
    if (raw == nullptr)
        return failed("allocate");
    Certificate certificate = Certificate::adopt(raw);
    X509* issuer_certificate = issuer != nullptr ? issuer->certificate.native() : raw;
    EVP_PKEY* signing_key = issuer != nullptr ? issuer->key.native() : subject_key.native();

    if (X509_set_version(raw, X509_VERSION_3) != 1 ||
        X509_set_pubkey(raw, subject_key.native()) != 1)
        return failed("public key");
    RAIND_CHECK(set_serial(raw));
    RAIND_CHECK(set_times(raw, spec));
    RAIND_CHECK(set_names(raw, spec, issuer));
    const ProfileText text = profile_text(spec.profile);
    RAIND_CHECK(
        add_extension(raw, issuer_certificate, NID_basic_constraints, text.basic_constraints));
    RAIND_CHECK(add_extension(raw, issuer_certificate, NID_key_usage, text.key_usage));
    if (text.extended_usage != nullptr)
        RAIND_CHECK(add_extension(raw, issuer_certificate, NID_ext_key_usage, text.extended_usage));
    RAIND_CHECK(add_extension(raw, issuer_certificate, NID_subject_key_identifier, "hash"));
    RAIND_CHECK(add_extension(raw, issuer_certificate, NID_authority_key_identifier, "keyid"));
    RAIND_CHECK(add_alternative_names(raw, spec));
    if (X509_sign(raw, signing_key, EVP_sha256()) == 0)
        return failed("sign");
    return certificate;
}

}  // namespace raind::pki

// Who this daemon is to registries: one file of users and passwords, for root alone.
//
//   {"version": 1, "registries": {"<registry>": {"username": ..., "password": ...}}}
//
// The registry is named as in a reference: "docker.io", "registry.test:5000". The file is read for
// every use, so that it is what counts after a restart and after a change by hand; it is replaced
// whole, by rename, with mode 0600.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "raind/result.h"
#include "raind/secret.h"

namespace raind::image {

struct Credentials {
    std::string user;
    Secret password;
    bool operator==(const Credentials&) const = default;
};

// Refuses what cannot be sent: an empty user or password, a colon in the user (it ends the user on
// the wire), control characters, more than 255 and 64 Ki bytes.
Status check_credentials(const Credentials& credentials);

// The value of an Authorization header (RFC 7617).
Secret basic_authorization(const Credentials& credentials);

using CredentialTable = std::map<std::string, Credentials>;
// Errors never repeat what is in the text.
Result<CredentialTable> parse_credentials(std::string_view json);
Secret encode_credentials(const CredentialTable& table);

// Thread-safe; one process owns the file.
class CredentialStore {
  public:
    // Makes the folder (0700), and removes what a write that was cut short has left in it.
    static Result<std::shared_ptr<CredentialStore>> open(std::filesystem::path file);
    explicit CredentialStore(std::filesystem::path file) : file_(std::move(file)) {}

    Result<std::optional<Credentials>> find(const std::string& registry) const;
    Status put(const std::string& registry, const Credentials& credentials);
    // Whether there was a login.
    Result<bool> remove(const std::string& registry);

  private:
    Result<CredentialTable> load() const;
    Status save(const CredentialTable& table) const;

    std::filesystem::path file_;
    mutable std::mutex mutex_;
};

}  // namespace raind::image

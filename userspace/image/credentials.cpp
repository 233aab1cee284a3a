#include "userspace/image/credentials.h"

#include <algorithm>
#include <cstdint>
#include <fmt/format.h>
#include <span>

#include "userspace/common/crypto.h"
#include "userspace/common/fs.h"
#include "userspace/common/json.h"
#include "userspace/image/reference.h"

namespace raind::image {

namespace {

constexpr std::size_t kMaxUser = 255;
constexpr std::size_t kMaxPassword = 64U << 10;
constexpr std::size_t kMaxFile = 4U << 20;
constexpr int kVersion = 1;

bool has_control(const std::string& text) {
    return std::any_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f;
    });
}

Error invalid(std::string why) {
    return {Errc::InvalidArgument, std::move(why)};
}

Result<Credentials> parse_entry(const Json& entry, const std::string& registry) {
    const JsonReader reader(entry, "registries." + registry);
    RAIND_CHECK(reader.expect_object());
    RAIND_CHECK(reader.only({"username", "password"}));
    Credentials credentials;
    RAIND_TRY(credentials.user, reader.string("username"));
    RAIND_TRY(std::string password, reader.string("password"));
    credentials.password = Secret(std::move(password));
    RAIND_CHECK(check_credentials(credentials).context("registries." + registry));
    return credentials;
}

}  // namespace

Status check_credentials(const Credentials& credentials) {
    const std::string& password = credentials.password.reveal();
    if (credentials.user.empty())
        return invalid("the user name is empty");
    if (credentials.user.size() > kMaxUser)
        return invalid(fmt::format("the user name is longer than {} bytes", kMaxUser));
    if (credentials.user.find(':') != std::string::npos || has_control(credentials.user))
        return invalid("the user name holds a colon or a control character");
    if (password.empty())
        return invalid("the password is empty");
    if (password.size() > kMaxPassword)
        return invalid(fmt::format("the password is longer than {} bytes", kMaxPassword));
    if (has_control(password))
        return invalid("the password holds a control character");
    return {};
}

Secret basic_authorization(const Credentials& credentials) {
    const std::string text = credentials.user + ":" + credentials.password.reveal();
    const auto bytes = std::as_bytes(std::span(text));
    return Secret("Basic " +
                  base64({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}));
}

Result<CredentialTable> parse_credentials(std::string_view json) {
    const auto document = parse_json(json, {.bytes = kMaxFile, .depth = 8});
    // What the parser says quotes the text.
    if (!document)
        return invalid("not valid JSON");
    const JsonReader reader(*document, "");
    RAIND_CHECK(reader.expect_object());
    RAIND_CHECK(reader.only({"version", "registries"}));
    RAIND_CHECK(reader.integer("version", kVersion, kVersion));
    CredentialTable table;
    const Json* registries = reader.child("registries");
    if (registries == nullptr)
        return table;
    if (!registries->is_object())
        return invalid("registries: expected an object");
    for (const auto& [name, entry] : registries->items()) {
        RAIND_TRY(const std::string registry, parse_registry(name));
        RAIND_TRY(table[registry], parse_entry(entry, registry));
    }
    return table;
}

Secret encode_credentials(const CredentialTable& table) {
    Json registries = Json::object();
    for (const auto& [registry, credentials] : table)
        registries[registry] = {{"username", credentials.user},
                                {"password", credentials.password.reveal()}};
    return Secret(dump_json({{"version", kVersion}, {"registries", registries}}, 2) + "\n");
}

Result<std::shared_ptr<CredentialStore>> CredentialStore::open(std::filesystem::path file) {
    const auto folder = file.parent_path();
    RAIND_CHECK(make_dirs(folder, 0700));
    RAIND_CHECK(set_mode(folder, 0700));
    remove_unfinished(file);
    return std::make_shared<CredentialStore>(std::move(file));
}

Result<CredentialTable> CredentialStore::load() const {
    auto bytes = read_file(file_, kMaxFile);
    if (!bytes && bytes.error().code() == Errc::NotFound)
        return CredentialTable();
    if (!bytes)
        return std::move(bytes.error()).context("the logins to registries");
    auto table = parse_credentials(*bytes);
    if (!table)
        return Error(Errc::Internal,
                     fmt::format("the logins to registries in {} cannot be read ({}); remove the "
                                 "file and log in again",
                                 file_.string(), table.error().message()));
    return table;
}

Status CredentialStore::save(const CredentialTable& table) const {
    if (table.empty())
        return remove_tree(file_);
    return write_file_atomic(file_, encode_credentials(table).reveal(), 0600);
}

Result<std::optional<Credentials>> CredentialStore::find(const std::string& registry) const {
    const std::lock_guard lock(mutex_);
    RAIND_TRY(const CredentialTable table, load());
    const auto found = table.find(registry);
    return found == table.end() ? std::nullopt : std::optional(found->second);
}

Status CredentialStore::put(const std::string& registry, const Credentials& credentials) {
    const std::lock_guard lock(mutex_);
    RAIND_TRY(CredentialTable table, load());
    table[registry] = credentials;
    return save(table);
}

Result<bool> CredentialStore::remove(const std::string& registry) {
    const std::lock_guard lock(mutex_);
    RAIND_TRY(CredentialTable table, load());
    if (table.erase(registry) == 0)
        return false;
    RAIND_CHECK(save(table));
    return true;
}

}  // namespace raind::image

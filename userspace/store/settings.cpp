#include "userspace/store/settings.h"

#include <array>
#include <charconv>

#include "userspace/common/crypto.h"
#include "userspace/common/ids.h"

namespace raind::store {

namespace {

constexpr const char* kNode = "node";
constexpr const char* kUla = "ula";
constexpr std::size_t kUlaBytes = 5;

}  // namespace

Result<std::optional<std::string>> SettingStore::get(const std::string& key) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("SELECT value FROM settings WHERE key = ?1"));
    RAIND_TRY(const bool row, stmt.bind(key).step());
    return row ? std::optional(stmt.text(0)) : std::nullopt;
}

Status SettingStore::set(const std::string& key, const std::string& value) {
    const auto lock = connection_.lock();
    RAIND_TRY(SqliteStmt stmt,
              connection_.db().prepare("INSERT OR REPLACE INTO settings VALUES (?1, ?2)"));
    return stmt.bind(key, value).run();
}

Result<std::string> SettingStore::get_or_set(const std::string& key, const std::string& drawn) {
    RAIND_TRY(Transaction transaction, connection_.begin());
    RAIND_TRY(const auto known, get(key));
    if (known)
        return *known;
    RAIND_CHECK(set(key, drawn));
    RAIND_CHECK(transaction.commit());
    return drawn;
}

Result<std::string> SettingStore::node() {
    return get_or_set(kNode, make_ulid());
}

Result<std::uint64_t> SettingStore::ula_bits() {
    std::array<std::uint8_t, kUlaBytes> random{};
    random_bytes(random);
    RAIND_TRY(const std::string text, get_or_set(kUla, to_hex(random)));
    std::uint64_t bits = 0;
    const auto end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, bits, 16);
    if (text.size() != 2 * kUlaBytes || parsed.ec != std::errc() || parsed.ptr != end)
        return Error(Errc::Internal, "store: " + connection_.file() + ": setting ula is damaged");
    return bits;
}

}  // namespace raind::store

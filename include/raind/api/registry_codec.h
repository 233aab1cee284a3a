// The JSON form of logins to registries; see codec.h. Include in .cpp files only.
#pragma once

#include "raind/api/codec.h"

namespace raind::api {

// Only ever sent to the daemon: the answer holds no password.
inline Json encode(const LoginRequest& r) {
    return Json{
        {"registry", r.registry}, {"username", r.username}, {"password", r.password.reveal()}};
}

template <>
inline Result<LoginRequest> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    RAIND_CHECK(reader.only({"registry", "username", "password"}));
    LoginRequest r;
    RAIND_TRY(r.registry, reader.string("registry", ""));
    RAIND_TRY(r.username, reader.string("username"));
    RAIND_TRY(std::string password, reader.string("password"));
    r.password = Secret(std::move(password));
    return r;
}

inline Json encode(const LogoutResult& r) {
    return Json{{"registry", r.registry}, {"removed", r.removed}};
}

template <>
inline Result<LogoutResult> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    LogoutResult r;
    RAIND_TRY(r.registry, reader.string("registry"));
    RAIND_TRY(r.removed, reader.boolean("removed", false));
    return r;
}

}  // namespace raind::api

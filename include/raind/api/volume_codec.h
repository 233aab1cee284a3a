// The JSON form of volumes; see codec.h. Include in .cpp files only.
#pragma once

#include "raind/api/codec.h"

namespace raind::api {

inline Json encode(const CreateVolumeRequest& r) {
    Json j{{"name", r.name}};
    if (!r.labels.empty())
        j["labels"] = r.labels;
    return j;
}

template <>
inline Result<CreateVolumeRequest> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    RAIND_CHECK(reader.only({"name", "labels"}));
    CreateVolumeRequest r;
    RAIND_TRY(r.name, reader.string("name", ""));
    RAIND_TRY(r.labels, detail::string_map(reader, "labels"));
    return r;
}

inline Json encode(const VolumeInfo& v) {
    return Json{{"name", v.name},
                {"state", v.state},
                {"mountpoint", v.mountpoint},
                {"createdAt", v.created_at},
                {"labels", v.labels},
                {"users", v.users}};
}

template <>
inline Result<VolumeInfo> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    VolumeInfo v;
    RAIND_TRY(v.name, reader.string("name"));
    RAIND_TRY(v.state, reader.string("state", ""));
    RAIND_TRY(v.mountpoint, reader.string("mountpoint", ""));
    RAIND_TRY(v.created_at, reader.string("createdAt", ""));
    RAIND_TRY(v.labels, detail::string_map(reader, "labels"));
    RAIND_TRY(v.users, reader.strings("users"));
    return v;
}

}  // namespace raind::api

#include "userspace/image/config.h"

#include <fmt/format.h>

#include "userspace/common/json.h"

namespace raind::image {

namespace {

constexpr std::size_t kMaxStrings = 4096;
constexpr std::size_t kMaxString = 128U << 10;  // what execve(2) takes as one argument
constexpr std::size_t kMaxDiffIds = 512;

Error invalid(std::string what) {
    return {Errc::InvalidArgument, std::move(what)};
}

// A zero byte would end the string early wherever it is handed to the kernel.
Status check_string(const std::string& text, const std::string& path) {
    if (text.find('\0') != std::string::npos)
        return invalid(path + " holds a zero byte");
    if (text.size() > kMaxString)
        return invalid(fmt::format("{} is longer than {} bytes", path, kMaxString));
    return {};
}

Result<std::string> read_string(const JsonReader& reader, std::string_view key) {
    RAIND_TRY(std::string text, reader.string(key, ""));
    RAIND_CHECK(check_string(text, reader.path_of(key)));
    return text;
}

Result<std::vector<std::string>> read_strings(const JsonReader& reader, std::string_view key) {
    RAIND_TRY(auto list, reader.strings(key));
    const std::string path = reader.path_of(key);
    if (list.size() > kMaxStrings)
        return invalid(fmt::format("{} has more than {} values", path, kMaxStrings));
    for (const std::string& text : list)
        RAIND_CHECK(check_string(text, path));
    return list;
}

// Sets are written as objects with empty values.
Result<std::vector<std::string>> read_set(const JsonReader& reader, std::string_view key) {
    std::vector<std::string> names;
    const Json* set = reader.child(key);
    if (set == nullptr)
        return names;
    const std::string path = reader.path_of(key);
    if (!set->is_object() || set->size() > kMaxStrings)
        return invalid(path + " must be an object of bounded size");
    for (const auto& [name, value] : set->items()) {
        RAIND_CHECK(check_string(name, path));
        names.push_back(name);
    }
    return names;
}

Result<std::map<std::string, std::string>> read_labels(const JsonReader& reader) {
    std::map<std::string, std::string> labels;
    const Json* object = reader.child("Labels");
    if (object == nullptr)
        return labels;
    const std::string path = reader.path_of("Labels");
    if (!object->is_object() || object->size() > kMaxStrings)
        return invalid(path + " must be an object of bounded size");
    const JsonReader fields(*object, path);
    for (const auto& [name, value] : object->items()) {
        RAIND_CHECK(check_string(name, path));
        RAIND_TRY(labels[name], read_string(fields, name));
    }
    return labels;
}

Status check_env(const std::vector<std::string>& env) {
    for (const std::string& variable : env) {
        if (const auto equals = variable.find('='); equals == 0 || equals == std::string::npos)
            return invalid("config.Env has a value that is not NAME=VALUE");
    }
    return {};
}

Result<std::vector<Digest>> read_diff_ids(const JsonReader& document) {
    const Json* rootfs = document.child("rootfs");
    if (rootfs == nullptr)
        return invalid("the configuration lacks rootfs");
    const JsonReader reader(*rootfs, "rootfs");
    RAIND_CHECK(reader.expect_object());
    RAIND_TRY(const std::string type, reader.string("type"));
    if (type != "layers")
        return invalid("rootfs.type is not 'layers'");
    RAIND_TRY(const auto texts, reader.strings("diff_ids"));
    if (texts.size() > kMaxDiffIds)
        return invalid("rootfs.diff_ids has too many values");
    std::vector<Digest> ids;
    for (const std::string& text : texts) {
        RAIND_TRY(Digest id, Digest::parse(text).context("rootfs.diff_ids"));
        ids.push_back(std::move(id));
    }
    return ids;
}

Status read_run_fields(const JsonReader& run, ImageConfig& config) {
    RAIND_CHECK(run.expect_object());
    RAIND_TRY(config.env, read_strings(run, "Env"));
    RAIND_CHECK(check_env(config.env));
    RAIND_TRY(config.cmd, read_strings(run, "Cmd"));
    RAIND_TRY(config.entrypoint, read_strings(run, "Entrypoint"));
    RAIND_TRY(config.user, read_string(run, "User"));
    RAIND_TRY(config.working_dir, read_string(run, "WorkingDir"));
    RAIND_TRY(config.stop_signal, read_string(run, "StopSignal"));
    RAIND_TRY(config.exposed_ports, read_set(run, "ExposedPorts"));
    RAIND_TRY(config.volumes, read_set(run, "Volumes"));
    RAIND_TRY(config.labels, read_labels(run));
    return {};
}

}  // namespace

Result<ImageConfig> parse_config(std::string_view bytes) {
    RAIND_TRY(const Json json, parse_json(bytes, {.bytes = bytes.size(), .depth = 32})
                                   .context("the image configuration is not valid JSON"));
    const JsonReader document(json, "configuration");
    RAIND_CHECK(document.expect_object());
    ImageConfig config;
    RAIND_TRY(config.platform.os, read_string(document, "os"));
    RAIND_TRY(config.platform.arch, read_string(document, "architecture"));
    RAIND_TRY(config.platform.variant, read_string(document, "variant"));
    RAIND_TRY(config.created, read_string(document, "created"));
    RAIND_TRY(config.diff_ids, read_diff_ids(document));
    if (const Json* run = document.child("config"); run != nullptr)
        RAIND_CHECK(read_run_fields(JsonReader(*run, "config"), config));
    return config;
}

}  // namespace raind::image

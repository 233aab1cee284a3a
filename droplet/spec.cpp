#include "droplet/spec.h"

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <unistd.h>

#include "droplet/spec_reader.h"
#include "userspace/common/fs.h"

namespace raind::droplet {

namespace {

constexpr std::size_t kConfigLimit = 4U << 20;

bool has_nul(const std::string& text) {
    return text.find('\0') != std::string::npos;
}

// NOLINTNEXTLINE(misc-no-recursion): parse_json bounds the depth.
Status refuse_nul(const Json& value, const std::string& path) {
    if (value.is_string() && has_nul(value.get_ref<const std::string&>()))
        return invalid(path, "contains a NUL character");
    if (value.is_array())
        for (std::size_t i = 0; i < value.size(); ++i)
            RAIND_CHECK(refuse_nul(value[i], path + "[" + std::to_string(i) + "]"));
    if (value.is_object())
        for (const auto& [key, item] : value.items()) {
            if (has_nul(key))
                return invalid(path, "a key contains a NUL character");
            RAIND_CHECK(refuse_nul(item, path.empty() ? key : path + "." + key));
        }
    return {};
}

Result<Json> parse_checked(std::string_view text, const std::string& what) {
    JsonLimits limits;
    limits.bytes = kConfigLimit;
    auto parsed = parse_json(text, limits);
    if (!parsed)
        return std::move(parsed.error()).context(what);
    RAIND_CHECK(refuse_nul(*parsed, ""));
    return parsed;
}

// 1.0.0 to 1.x: a later minor version only adds keys. Pre-release marks are allowed.
Status check_version(const std::string& version) {
    int numbers[3] = {};
    const char* at = version.c_str();
    for (int i = 0; i < 3; ++i) {
        char* end = nullptr;
        if (*at < '0' || *at > '9')
            return invalid("ociVersion", "\"" + version + "\" is not a version");
        numbers[i] = static_cast<int>(std::strtol(at, &end, 10));
        const bool last = i == 2;
        if ((!last && *end != '.') || (last && *end != '\0' && *end != '-' && *end != '+'))
            return invalid("ociVersion", "\"" + version + "\" is not a version");
        at = end + 1;
    }
    if (numbers[0] != 1)
        return invalid("ociVersion", "\"" + version + "\" is not supported (1.0.0 to 1.3.0 is)");
    return {};
}

Result<ImageRoot> read_image(const std::string& text) {
    const std::string path = "annotations." + std::string(kImageAnnotation);
    RAIND_TRY(const Json value, parse_checked(text, path));
    const JsonReader reader(value, path);
    RAIND_CHECK(reader.expect_object());
    ImageRoot image;
    RAIND_TRY(const std::string type, reader.string("rootfsType", "overlay"));
    if (type != "overlay")
        return invalid(path + ".rootfsType", "only \"overlay\" is known");
    RAIND_TRY(image.layers, reader.strings("imageLayer"));
    if (image.layers.empty())
        return invalid(path + ".imageLayer", "at least one layer is needed");
    for (const std::string& layer : image.layers)
        if (!layer.starts_with('/'))
            return invalid(path + ".imageLayer", "\"" + layer + "\" is not an absolute path");
    RAIND_TRY(image.upper, read_absolute(reader, "upperDir"));
    RAIND_TRY(image.work, read_absolute(reader, "workDir"));
    return image;
}

Status read_root(const JsonReader& top, Spec& spec) {
    const Json* root = top.child("root");
    if (root == nullptr)
        return spec.image ? Status{} : invalid("root", "missing");
    const JsonReader reader(*root, "root");
    RAIND_CHECK(reader.expect_object());
    RAIND_TRY(spec.root_path, reader.string("path", ""));
    if (spec.root_path.empty() && !spec.image)
        return invalid("root.path", "missing");
    RAIND_TRY(spec.root_readonly, reader.boolean("readonly", false));
    return {};
}

Status read_annotations(const JsonReader& top, Spec& spec) {
    RAIND_TRY(spec.annotations, read_string_map(top, "annotations"));
    if (const auto it = spec.annotations.find(std::string(kImageAnnotation));
        it != spec.annotations.end()) {
        RAIND_TRY(spec.image, read_image(it->second));
    }
    if (const auto it = spec.annotations.find(std::string(kSoftLimitsAnnotation));
        it != spec.annotations.end()) {
        if (it->second != "true" && it->second != "false")
            return invalid("annotations." + it->first, "expected \"true\" or \"false\"");
        spec.soft_limits = it->second == "true";
    }
    return {};
}

}  // namespace

Error invalid(const std::string& path, const std::string& why) {
    return Error(Errc::InvalidArgument, path + ": " + why);
}

const Namespace* Spec::find_namespace(std::string_view type) const {
    const auto it = std::ranges::find(namespaces, type, &Namespace::type);
    return it == namespaces.end() ? nullptr : &*it;
}

bool Spec::new_namespace(std::string_view type) const {
    const Namespace* found = find_namespace(type);
    return found != nullptr && found->path.empty();
}

Result<Spec> parse_spec(std::string_view text) {
    RAIND_TRY(const Json value, parse_checked(text, "config.json"));
    const JsonReader top(value, "");
    if (!value.is_object())
        return invalid("config.json", "expected an object");
    Spec spec;
    RAIND_TRY(spec.oci_version, top.string("ociVersion"));
    RAIND_CHECK(check_version(spec.oci_version));
    RAIND_CHECK(read_annotations(top, spec));
    RAIND_CHECK(read_root(top, spec));
    RAIND_TRY(spec.hostname, top.string("hostname", ""));
    RAIND_TRY(spec.domainname, top.string("domainname", ""));
    if (const Json* process = top.child("process")) {
        RAIND_TRY(spec.process, parse_process(*process, "process"));
    }
    RAIND_CHECK(read_mounts(top, spec));
    RAIND_CHECK(read_hooks(top, spec));
    const Json* linux_part = top.child("linux");
    if (linux_part == nullptr)
        return invalid("linux", "missing: this configuration is for another platform");
    const JsonReader linux_reader(*linux_part, "linux");
    RAIND_CHECK(linux_reader.expect_object());
    RAIND_CHECK(read_linux(linux_reader, spec));
    RAIND_CHECK(check_spec(spec));
    return spec;
}

Result<Process> parse_process(const Json& object, const std::string& path) {
    const JsonReader reader(object, path);
    RAIND_CHECK(reader.expect_object());
    return read_process(reader);
}

Result<Process> parse_process_text(std::string_view text) {
    RAIND_TRY(const Json value, parse_checked(text, "process"));
    return parse_process(value, "process");
}

Result<Bundle> load_bundle(const std::string& bundle, const std::string& config_file) {
    Bundle out;
    char resolved[PATH_MAX];
    if (::realpath(bundle.empty() ? "." : bundle.c_str(), resolved) == nullptr)
        return os_error("bundle " + bundle);
    out.path = resolved;
    const std::string config = config_file.empty()     ? out.path + "/config.json"
                               : config_file[0] == '/' ? config_file
                                                       : out.path + "/" + config_file;
    RAIND_TRY(out.text, read_file(config, kConfigLimit));
    RAIND_TRY(out.spec, parse_spec(out.text));
    if (!out.spec.root_path.empty() && out.spec.root_path[0] != '/')
        out.spec.root_path = out.path + "/" + out.spec.root_path;
    return out;
}

}  // namespace raind::droplet

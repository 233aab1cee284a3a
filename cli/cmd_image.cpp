// raind image.
#include <algorithm>
#include <fmt/format.h>

#include "raind/api/codec.h"

#include "cli/command_util.h"
#include "cli/container_view.h"
#include "cli/text.h"
#include "userspace/common/json.h"

namespace raind::cli {

namespace {

constexpr std::chrono::seconds kPullPatience{1800};

Outcome<std::string> image_argument(const Parsed& parsed) {
    RAIND_TRY(std::string image, single_argument(parsed, "image required"));
    return image;
}

Outcome<int> run_pull(Context& context, const Parsed& parsed) {
    RAIND_TRY(const std::string image, image_argument(parsed));
    api::ImageRequest request;
    request.image = image;
    request.os = parsed.value("os");
    request.arch = parsed.value("arch");
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const Json data, api->call({.method = "POST",
                                          .target = "/v1/images",
                                          .attempt = fmt::format("pull image {}", in_quotes(image)),
                                          .patience = kPullPatience},
                                         api::encode(request)));
    print_result(context, fmt::format("image: {} pull completed", terminal_safe(image)), data);
    return kExitDone;
}

Outcome<int> run_image_rm(Context& context, const Parsed& parsed) {
    return for_each_argument(
        context, parsed, "image required", [&](const std::string& image) -> Outcome<void> {
            api::ImageRequest request;
            request.image = image;
            RAIND_TRY(ApiClient* const api, context.api());
            RAIND_TRY(const Json data,
                      api->call({.method = "DELETE",
                                 .target = "/v1/images",
                                 .attempt = fmt::format("remove image {}", in_quotes(image))},
                                api::encode(request)));
            print_result(context, fmt::format("image: {} remove completed", terminal_safe(image)),
                         data);
            return {};
        });
}

Outcome<int> run_image_ls(Context& context, const Parsed& parsed) {
    RAIND_CHECK(no_arguments(parsed));
    const std::string attempt = "list the images";
    RAIND_TRY(ApiClient* const api, context.api());
    RAIND_TRY(const Json data, api->call({.target = "/v1/images", .attempt = attempt}));
    auto images = api::decode_list<api::ImageInfo>(data);
    if (!images)
        return not_understood(attempt, images.error().message());
    if (context.json()) {
        for (const Json& entry : data)
            context.print_json(entry);
        return kExitDone;
    }
    std::sort(images->begin(), images->end(), [](const auto& left, const auto& right) {
        return std::tie(left.repository, left.reference) <
               std::tie(right.repository, right.reference);
    });
    const std::time_t now = std::time(nullptr);
    Table table({"REPOSITORY", "TAG", "CREATED"});
    for (const api::ImageInfo& image : *images) {
        const auto created = parse_time(image.created_at);
        table.add({familiar_repository(image.repository), terminal_safe(image.reference),
                   created ? relative_time(*created, now) : std::string()});
    }
    context.print(table.render());
    return kExitDone;
}

CommandSpec image_spec(const std::string& verb, const std::string& purpose,
                       const std::string& usage, Outcome<int> (*run)(Context&, const Parsed&),
                       std::vector<std::string> examples) {
    CommandSpec spec;
    spec.group = "image";
    spec.verb = verb;
    spec.purpose = purpose;
    spec.usage = usage;
    spec.examples = std::move(examples);
    for (const char* const other : {"pull", "ls", "rm"}) {
        if (verb != other)
            spec.see_also.push_back(fmt::format("raind image {}", other));
    }
    spec.see_also.push_back("raind container run");
    spec.run = run;
    return spec;
}

}  // namespace

std::vector<CommandSpec> image_commands() {
    CommandSpec pull = image_spec("pull", "fetch an image from its registry",
                                  "[REGISTRY/]IMAGE[:TAG][@DIGEST]", run_pull,
                                  {"raind image pull busybox:1.36",
                                   "raind image pull --arch arm64 127.0.0.1:5000/demo:latest"});
    pull.options = {
        {"--os", OptionKind::Value, "OS", "operating system (default linux)"},
        {"--arch", OptionKind::Value, "ARCH", "architecture (default: that of this host)"}};
    pull.refused = {{"--platform", OptionKind::Value, "use --os and --arch"},
                    {"-q,--quiet", OptionKind::Flag, {}},
                    {"-a,--all-tags", OptionKind::Flag, {}}};
    CommandSpec list = image_spec("ls", "list the images of this host", "", run_image_ls,
                                  {"raind image ls", "raind image ls --format json"});
    list.aliases = {"list"};
    CommandSpec remove = image_spec(
        "rm", "remove images that no container uses", "IMAGE[:TAG] [IMAGE[:TAG] ...]", run_image_rm,
        {"raind image rm busybox:1.36", "raind image rm team/frontend:v3"});
    remove.refused = {{"-f,--force", OptionKind::Flag, "remove its containers first"}};
    return {std::move(pull), std::move(list), std::move(remove)};
}

}  // namespace raind::cli

#include "userspace/api/openapi.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "userspace/api/routes.h"

namespace raind::api {

namespace {

using OrderedJson = nlohmann::ordered_json;

std::string method_key(std::string_view method) {
    std::string key(method);
    std::ranges::transform(key, key.begin(),
                           [](char c) { return static_cast<char>(c - 'A' + 'a'); });
    return key;
}

OrderedJson operation(const Route& route) {
    OrderedJson described{{"operationId", route.action}, {"summary", route.summary}};
    const std::size_t open = route.pattern.find('{');
    if (open != std::string_view::npos) {
        const std::size_t close = route.pattern.find('}', open);
        described["parameters"] = {{{"name", route.pattern.substr(open + 1, close - open - 1)},
                                    {"in", "path"},
                                    {"required", true},
                                    {"schema", {{"type", "string"}}}}};
    }
    const char* done = route.kind == http::CallKind::Upgrade ? "101" : "200";
    described["responses"] = {
        {done, {{"description", "done"}}},
        {"403", {{"description", "the certificate has no role here"}}},
        {"default", {{"description", "envelope with status fail, code and message"}}}};
    described["x-audit-severity"] = severity_name(route.severity);
    return described;
}

}  // namespace

std::string openapi_text() {
    OrderedJson paths = OrderedJson::object();
    for (const Route* route : all_routes())
        paths[std::string(route->pattern)][method_key(route->method)] = operation(*route);
    const OrderedJson document{
        {"openapi", "3.1.0"},
        {"info", {{"title", "Condenser API"}, {"version", RAIND_VERSION}}},
        {"paths", paths},
        {"components", {{"securitySchemes", {{"client_certificate", {{"type", "mutualTLS"}}}}}}}};
    return document.dump(2) + "\n";
}

}  // namespace raind::api

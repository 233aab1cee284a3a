#include <fmt/format.h>

#include "userspace/image/image_store.h"
#include "userspace/image/registry.h"

namespace raind::image {

Status ImageStore::login(const std::string& registry, const Credentials& credentials,
                         const std::stop_token& stop) {
    if (!options_.credentials)
        return Error(Errc::Unsupported, "logins are not kept here");
    const auto what = fmt::format("registry {}", registry);
    RAIND_CHECK(check_credentials(credentials).context(what));
    auto client =
        RegistryClient::make({.registry = registry, .path = {}, .credentials = credentials},
                             options_.registry, stop)
            .context(what);
    if (!client)
        return std::move(client.error());
    RAIND_CHECK(client->check_login().context(what));
    return options_.credentials->put(registry, credentials);
}

Result<bool> ImageStore::logout(const std::string& registry) {
    if (!options_.credentials)
        return false;
    return options_.credentials->remove(registry);
}

}  // namespace raind::image

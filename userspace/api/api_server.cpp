#include "userspace/api/api_server.h"

#include "userspace/pki/authority.h"

namespace raind::api {

Result<std::unique_ptr<ApiServer>> ApiServer::start(const ApiOptions& options,
                                                    core::Services services) {
    RAIND_TRY(pki::SpiffePrefix role, pki::SpiffePrefix::parse(options.role_prefix));
    RAIND_TRY(auto audit, AuditLog::open(options.audit_log, options.node).context("audit log"));
    auto calls = std::make_unique<ApiCalls>(services, *audit, std::move(role));
    std::unique_ptr<ApiServer> server(new ApiServer(std::move(audit), std::move(calls)));
    http::ServerOptions http_options;
    http_options.address = options.address;
    http_options.port = options.port;
    http_options.limits = options.limits;
    http_options.tls = {pki::certificate_path(options.cert_dir, pki::kServerName),
                        pki::key_path(options.cert_dir, pki::kServerName),
                        pki::certificate_path(options.cert_dir, pki::kClientCaName)};
    RAIND_TRY(server->server_, http::Server::start(std::move(http_options), *server->calls_)
                                   .context("management listener"));
    return server;
}

}  // namespace raind::api

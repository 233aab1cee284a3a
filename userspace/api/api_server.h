// ApiServer: the management listener as a whole: certificates in, authenticated and audited calls
// out to the services. What the composition root makes. Thread-safe after start().
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "raind/result.h"

#include "userspace/api/audit.h"
#include "userspace/api/call.h"
#include "userspace/api/http/server.h"
#include "userspace/core/services.h"

namespace raind::api {

struct ApiOptions {
    std::string address = "127.0.0.1";
    std::uint16_t port = 7755;  // 0: a free one
    stdfs::path cert_dir;       // made by pki::ensure_certificates
    stdfs::path audit_log;      // .../raind_audit.jsonl
    std::string node;           // host id in audit records
    std::string role_prefix = "spiffe://raind/cli/";
    http::Limits limits;
};

class ApiServer {
  public:
    // The services have to outlive the server.
    static Result<std::unique_ptr<ApiServer>> start(const ApiOptions& options,
                                                    core::Services services);

    std::uint16_t port() const { return server_->port(); }
    std::string address() const { return server_->address(); }
    // After the certificates were renewed.
    Status reload_certificates() { return server_->reload_tls(); }
    std::uint64_t audit_failures() const { return audit_->failures(); }
    void stop() { server_->stop(); }

  private:
    ApiServer(std::unique_ptr<AuditLog> audit, std::unique_ptr<ApiCalls> calls)
        : audit_(std::move(audit)), calls_(std::move(calls)) {}

    std::unique_ptr<AuditLog> audit_;
    std::unique_ptr<ApiCalls> calls_;
    std::unique_ptr<http::Server> server_;  // last: it uses the others
};

}  // namespace raind::api

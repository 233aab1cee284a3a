// The calls of the management API: authorisation, routing, running a route's function and the audit
// record of each. ApiCalls makes them; it is thread-safe and outlives the server.
#pragma once

#include <memory>

#include "userspace/api/audit.h"
#include "userspace/api/http/types.h"
#include "userspace/core/services.h"
#include "userspace/pki/spiffe.h"

namespace raind::api {

class ApiCalls : public http::CallFactory {
  public:
    ApiCalls(core::Services services, AuditLog& audit, pki::SpiffePrefix role)
        : services_(services), audit_(audit), role_(std::move(role)) {}

    std::unique_ptr<http::Call> open(const http::RequestHead& head,
                                     const http::Peer& peer) override;
    void refused_handshake(const http::Peer& peer, std::string_view reason) override;
    void malformed(const http::Peer& peer, int status, std::string_view reason) override;

  private:
    core::Services services_;
    AuditLog& audit_;
    pki::SpiffePrefix role_;
};

}  // namespace raind::api

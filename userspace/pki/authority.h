// The certificate folder: two authorities (one that clients trust, one that issues client
// certificates) and the leaves of the daemon, the command line and the hook agent. All files are
// made here at the first start, repaired after a crash between two of them, and renewed before they
// expire. Called by one thread at a time (start and the renewal timer of the daemon).
#pragma once

#include <string>
#include <vector>

#include "raind/result.h"

#include "userspace/common/fs.h"
#include "userspace/pki/x509.h"

namespace raind::pki {

inline constexpr const char* kServerCaName = "raind";
inline constexpr const char* kServerName = "raindServer";
inline constexpr const char* kClientCaName = "raindClientCA";
inline constexpr const char* kCliClientName = "raindClient";
inline constexpr const char* kHookClientName = "raindHookClient";

inline constexpr const char* kCliSpiffeId = "spiffe://raind/cli/admin";
inline constexpr const char* kHookSpiffeId = "spiffe://raind/droplet/container";

stdfs::path certificate_path(const stdfs::path& dir, std::string_view name);
stdfs::path key_path(const stdfs::path& dir, std::string_view name);

struct EnsureOptions {
    stdfs::path dir;                          // made with 0700 when absent
    std::vector<std::string> host_addresses;  // beside 127.0.0.1 and ::1 in the server's names
    TimePoint now;
};

// Names (without extension) of what was written; both empty when everything was in order.
struct EnsureReport {
    std::vector<std::string> created;
    std::vector<std::string> renewed;
};

// Errors: an authority's key is missing or does not fit its certificate. That is never repaired
// silently, because clients trust the certificate that lies there.
Result<EnsureReport> ensure_certificates(const EnsureOptions& options);

struct Expiry {
    std::string name;
    TimePoint not_after;
    bool due;  // ensure_certificates would renew it at this time
};

Result<std::vector<Expiry>> certificate_expiries(const stdfs::path& dir, TimePoint now);

TimePoint current_time();

}  // namespace raind::pki

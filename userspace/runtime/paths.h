// Where one instance of the daemon keeps its things. `--root DIR` puts the three trees below DIR.
#pragma once

#include <string>

#include "userspace/common/fs.h"

namespace raind::runtime {

class Paths {
  public:
    // An empty root is the host's own layout.
    explicit Paths(stdfs::path root = {}) : root_(std::move(root)) {}

    stdfs::path config() const { return below("etc/raind"); }
    stdfs::path store() const { return config() / "store"; }
    stdfs::path apparmor_profile() const { return config() / "lsm/apparmor/raind-default"; }
    stdfs::path apparmor_stamp() const { return run() / "apparmor.sha256"; }
    stdfs::path certificates() const { return config() / "cert"; }
    stdfs::path images() const { return config() / "image"; }
    stdfs::path registry_logins() const { return config() / "registry" / "credentials.json"; }
    stdfs::path registry_authorities() const { return config() / "certs.d"; }
    stdfs::path containers() const { return config() / "container"; }
    stdfs::path container(const std::string& id) const { return containers() / id; }
    stdfs::path volumes() const { return config() / "volume"; }
    stdfs::path volume(const std::string& name) const { return volumes() / name; }
    stdfs::path droplet_audit() const { return config() / "log" / "droplet_audit.log"; }
    stdfs::path logs() const { return below("var/log/raind"); }
    stdfs::path run() const { return below("run/raind"); }
    stdfs::path droplet_state() const { return run() / "droplet"; }
    stdfs::path endpoints_file() const { return run() / "endpoints.json"; }
    stdfs::path lock() const { return run() / "condenser.lock"; }

    // Makes the folders with the modes of docs/operator: 0755 where others may look, 0700 where
    // keys, stores or container data lie.
    Status make() const;

  private:
    stdfs::path below(const char* path) const {
        return root_.empty() ? stdfs::path("/") / path : root_ / path;
    }
    stdfs::path root_;
};

}  // namespace raind::runtime

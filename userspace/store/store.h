// Store: the state of the daemon in one SQLite file (WAL, synchronous FULL), one process at a time.
//
// Owns the connection and the repositories over it. Thread-safe: one connection, guarded by a mutex
// (connection.h). What belongs together is written inside one transaction:
//     RAIND_TRY(auto transaction, store.begin());
//     RAIND_CHECK(store.containers().update(record));
//     RAIND_CHECK(store.operations().finish(id));
//     RAIND_CHECK(transaction.commit());
#pragma once

#include <memory>
#include <string>

#include "raind/result.h"

#include "userspace/store/connection.h"
#include "userspace/store/containers.h"
#include "userspace/store/identities.h"
#include "userspace/store/images.h"
#include "userspace/store/ipam.h"
#include "userspace/store/operations.h"
#include "userspace/store/policies.h"
#include "userspace/store/settings.h"
#include "userspace/store/volumes.h"

namespace raind::store {

class Store {
  public:
    // `folder` is made (0700) when it is missing; the file in it is raind.db.
    static Result<std::unique_ptr<Store>> open(const std::string& folder);

    Result<Transaction> begin() { return connection_->begin(); }
    ContainerStore& containers() { return containers_; }
    ImageStore& images() { return images_; }
    IpamStore& ipam() { return ipam_; }
    PolicyStore& policies() { return policies_; }
    IdentityStore& identities() { return identities_; }
    OperationStore& operations() { return operations_; }
    SettingStore& settings() { return settings_; }
    VolumeStore& volumes() { return volumes_; }
    const std::string& file() const { return connection_->file(); }

  private:
    explicit Store(std::unique_ptr<Connection> connection)
        : connection_(std::move(connection)),
          containers_(*connection_),
          images_(*connection_),
          ipam_(*connection_),
          policies_(*connection_),
          identities_(*connection_),
          operations_(*connection_),
          settings_(*connection_),
          volumes_(*connection_) {}

    std::unique_ptr<Connection> connection_;
    ContainerStore containers_;
    ImageStore images_;
    IpamStore ipam_;
    PolicyStore policies_;
    IdentityStore identities_;
    OperationStore operations_;
    SettingStore settings_;
    VolumeStore volumes_;
};

}  // namespace raind::store

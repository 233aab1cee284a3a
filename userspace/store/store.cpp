#include "userspace/store/store.h"

#include "userspace/common/fs.h"

namespace raind::store {

Result<std::unique_ptr<Store>> Store::open(const std::string& folder) {
    RAIND_CHECK(make_dirs(folder, 0700).context("store"));
    RAIND_CHECK(set_mode(folder, 0700).context("store"));
    RAIND_TRY(std::unique_ptr<Connection> connection, Connection::open(folder + "/raind.db"));
    return std::unique_ptr<Store>(new Store(std::move(connection)));
}

}  // namespace raind::store

// Watches the shims of all containers by pidfd and says which one has ended. One thread of its own
// calls the handler; a handler that returns Later is asked again shortly (the container is busy).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "raind/result.h"
#include "raind/unique_fd.h"

namespace raind::runtime {

class Supervisor {
  public:
    enum class Handled { Done, Later };
    using Handler = std::function<Handled(const std::string& container_id)>;

    static Result<std::unique_ptr<Supervisor>> start(Handler handler);
    ~Supervisor();
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;

    // Takes the pidfd of the container's shim. A shim that is gone already is reported as well.
    Status watch(const std::string& container_id, UniqueFd pidfd);
    void forget(const std::string& container_id);

  private:
    explicit Supervisor(Handler handler) : handler_(std::move(handler)) {}
    void run(const std::stop_token& stop);
    void dispatch_ended();

    Handler handler_;
    UniqueFd epoll_;
    UniqueFd wake_;
    std::mutex mutex_;  // guards watched_
    std::map<std::string, UniqueFd> watched_;
    std::jthread thread_;
};

}  // namespace raind::runtime

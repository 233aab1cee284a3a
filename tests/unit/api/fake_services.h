// Services that answer from memory and count every call that would change something.
#pragma once

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include "userspace/core/services.h"

namespace raind::test {

using Counter = std::atomic<int>;

class FakeContainers : public core::ContainerService {
  public:
    explicit FakeContainers(Counter& changes) : changes_(changes) {}

    std::vector<api::ContainerInfo> containers;
    api::CreateContainerRequest last_create;
    std::string last_signal;
    UniqueFd shim;  // the supervisor's end of the exec that was joined last
    std::atomic<bool> throws = false;
    std::atomic<bool> wait_stopped = false;
    std::atomic<bool> log_ended = false;
    std::atomic<int> busy_ms = 0;

    Result<std::vector<api::ContainerInfo>> list() override {
        if (throws)
            throw std::runtime_error("a secret detail");
        std::this_thread::sleep_for(std::chrono::milliseconds(busy_ms));
        return containers;
    }
    Result<api::ContainerInfo> inspect(const std::string& container) override {
        for (const auto& info : containers) {
            if (info.name == container || info.container_id == container)
                return info;
        }
        return Error(Errc::NotFound, "container: " + container + " not found");
    }
    Result<std::string> create(const api::CreateContainerRequest& request) override {
        ++changes_;
        last_create = request;
        if (request.name == "taken")
            return Error(Errc::AlreadyExists, "name: taken already used by other container");
        return std::string("01kx4m2r7vqa");
    }
    Status start(const std::string& container) override { return change(container); }
    Status stop(const std::string& container) override { return change(container); }
    Status kill(const std::string& container, const std::string& signal) override {
        last_signal = signal;
        return change(container);
    }
    Status remove(const std::string& container) override { return change(container); }
    Result<api::WaitResult> wait(const std::string& container, std::stop_token stop) override {
        RAIND_CHECK(inspect(container));
        if (container == "quick")
            return api::WaitResult{143, "signal"};
        while (!stop.stop_requested())
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        wait_stopped = true;
        return Error(Errc::Unavailable, "interrupted");
    }
    Result<api::ExecCreated> exec(const std::string& container, const api::ExecRequest&) override {
        RAIND_CHECK(change(container));
        return api::ExecCreated{container, "e1"};
    }
    Result<core::ExecStream> join_exec(const std::string&, const std::string& exec_id) override {
        if (exec_id != "e1")
            return Error(Errc::NotFound, "exec: " + exec_id + " not found");
        ++changes_;
        int pair[2];  // NOLINT
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
            return os_error("socketpair");
        shim.reset(pair[0]);
        return core::ExecStream{UniqueFd(pair[1])};
    }
    Status log(const std::string& container, const core::LogQuery& query,
               const std::function<bool(std::string_view)>& sink, std::stop_token stop) override {
        RAIND_CHECK(inspect(container));
        sink("first line\nsecond line\n");
        for (int i = 0; query.follow && !stop.stop_requested(); ++i) {
            if ((container == "quick" && i == 3) || !sink("more\n"))
                break;
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        log_ended = true;
        return {};
    }
    Result<std::string> log_path(const std::string& container) override {
        RAIND_CHECK(inspect(container));
        return "/x/" + container;
    }

  private:
    Status change(const std::string& container) {
        RAIND_CHECK(inspect(container));
        ++changes_;
        return {};
    }

    Counter& changes_;
};

class FakeImages : public core::ImageService {
  public:
    explicit FakeImages(Counter& changes) : changes_(changes) {}

    Result<std::vector<api::ImageInfo>> list() override { return std::vector<api::ImageInfo>(); }
    Status pull(const api::ImageRequest& request, std::stop_token) override {
        ++changes_;
        if (request.image == "gone")
            return Error(Errc::Unavailable, "registry does not answer");
        return {};
    }
    Status remove(const std::string&) override {
        ++changes_;
        return {};
    }
    Result<api::ImageInfo> status(const std::string& image) override {
        if (image != "busybox:1")
            return Error(Errc::NotFound, "image: " + image + " not found");
        return api::ImageInfo{"library/busybox", "1", "2026-01-01T00:00:00Z", "sha256:0", 3};
    }
    Result<std::string> login(const api::LoginRequest& request, std::stop_token) override {
        ++changes_;
        if (request.password.reveal() != "right")
            return Error(Errc::Forbidden, "registry r.test: wrong");
        return std::string("r.test");
    }
    Result<api::LogoutResult> logout(const std::string& registry) override {
        ++changes_;
        return api::LogoutResult{registry, true};
    }

  private:
    Counter& changes_;
};

class FakePolicies : public core::PolicyService {
  public:
    explicit FakePolicies(Counter& changes) : changes_(changes) {}

    Result<api::PolicyList> list(const std::string& chain) override {
        if (chain != "RAIND-EW")
            return Error(Errc::InvalidArgument, "Chain: " + chain + " is invalid");
        return api::PolicyList{"deny_by_default", {}};
    }
    Result<std::string> add(const api::AddPolicyRequest& request) override {
        if (request.dport > 65535)
            return Error(Errc::InvalidArgument, "dport: not a port");
        ++changes_;
        return std::string("01kx5b6g2h7j8k9m0n1p2q3r4s");
    }
    Status remove(const std::string&) override { return change(); }
    Result<api::CommitResult> commit() override {
        ++changes_;
        return api::CommitResult{7, 2, 1};
    }
    Status revert() override { return change(); }
    Status set_mode(const std::string&) override { return change(); }

  private:
    Status change() {
        ++changes_;
        return {};
    }

    Counter& changes_;
};

class FakeLogs : public core::LogService {
  public:
    Result<std::string> netflow(std::size_t lines) override {
        return "{\"n\":" + std::to_string(lines) + "}\n";
    }
    Result<std::string> flow(std::size_t) override { return std::string(); }
};

class FakeSystem : public core::SystemService {
  public:
    Result<api::SystemInfo> info() override {
        api::SystemInfo info;
        info.version = "test";
        return info;
    }
    Result<std::vector<api::SystemCheck>> check() override {
        return std::vector<api::SystemCheck>{{"tcx", "ok", ""}};
    }
};

class FakeVolumes : public core::VolumeService {
  public:
    explicit FakeVolumes(Counter& changes) : changes_(changes) {}

    Result<std::vector<api::VolumeInfo>> list() override {
        return std::vector<api::VolumeInfo>{{.name = "db", .state = "ready", .users = {"web"}}};
    }
    Result<api::VolumeInfo> create(const api::CreateVolumeRequest& request) override {
        ++changes_;
        return api::VolumeInfo{.name = request.name, .state = "empty", .labels = request.labels};
    }
    Result<api::VolumeInfo> inspect(const std::string& name) override {
        if (name != "db")
            return Error(Errc::NotFound, "volume: " + name + " not found");
        return api::VolumeInfo{.name = "db", .state = "ready"};
    }
    Status remove(const std::string& name) override {
        ++changes_;
        if (name == "db")
            return Error(Errc::Conflict, "volume: db is used by container web");
        return {};
    }

  private:
    Counter& changes_;
};

struct FakeServices {
    FakeServices() {
        for (const char* name : {"web", "quick"}) {
            api::ContainerInfo info;
            info.container_id = std::string("01kx0000") + name;
            info.name = name;
            containers.containers.push_back(info);
        }
    }
    core::Services services() { return {containers, images, policies, logs, system, volumes}; }

    Counter changes = 0;
    FakeContainers containers{changes};
    FakeImages images{changes};
    FakePolicies policies{changes};
    FakeLogs logs;
    FakeVolumes volumes{changes};
    FakeSystem system;
};

}  // namespace raind::test

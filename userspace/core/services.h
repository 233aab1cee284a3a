// The services behind the API. userspace/api calls these and nothing else; userspace/runtime and
// userspace/condenser implement them. All are thread-safe: requests come from many threads.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "raind/api/types.h"
#include "raind/result.h"
#include "raind/unique_fd.h"

namespace raind::core {

// `container` is an id, a unique id prefix or a name everywhere; names win.

struct LogQuery {
    std::size_t tail_lines = 100;
    bool follow = false;  // until the container has ended or the sink refuses
    // true: "<RFC 3339> stdout|stderr P|F <bytes>" as stored; false: the bytes of the lines only.
    bool raw = false;
};

// A running exec, joined: a Unix stream socket that speaks the frames of raind/shim_protocol.h
// after its handshake (1 byte type, 4 bytes big-endian length, payload).
struct ExecStream {
    UniqueFd socket;
};

class ContainerService {
  public:
    virtual ~ContainerService() = default;
    virtual Result<std::vector<api::ContainerInfo>> list() = 0;
    virtual Result<api::ContainerInfo> inspect(const std::string& container) = 0;
    // Pulls the image when it is absent. Gives the id.
    virtual Result<std::string> create(const api::CreateContainerRequest& request) = 0;
    virtual Status start(const std::string& container) = 0;
    virtual Status stop(const std::string& container) = 0;
    virtual Status kill(const std::string& container, const std::string& signal) = 0;
    virtual Status remove(const std::string& container) = 0;
    virtual Result<api::WaitResult> wait(const std::string& container, std::stop_token stop) = 0;
    virtual Result<api::ExecCreated> exec(const std::string& container,
                                          const api::ExecRequest& request) = 0;
    // Starts the exec that was created and gives its streams; once per exec id.
    virtual Result<ExecStream> join_exec(const std::string& container,
                                         const std::string& exec_id) = 0;
    // Sends chunks to the sink until done; the sink returns false when its client is gone.
    virtual Status log(const std::string& container, const LogQuery& query,
                       const std::function<bool(std::string_view)>& sink, std::stop_token stop) = 0;
    virtual Result<std::string> log_path(const std::string& container) = 0;
};

class ImageService {
  public:
    virtual ~ImageService() = default;
    virtual Result<std::vector<api::ImageInfo>> list() = 0;
    virtual Status pull(const api::ImageRequest& request, std::stop_token stop) = 0;
    virtual Status remove(const std::string& image) = 0;
    virtual Result<api::ImageInfo> status(const std::string& image) = 0;
    // Keeps user and password when the registry has accepted them. Gives the registry's name.
    virtual Result<std::string> login(const api::LoginRequest& request, std::stop_token stop) = 0;
    virtual Result<api::LogoutResult> logout(const std::string& registry) = 0;
};

class PolicyService {
  public:
    virtual ~PolicyService() = default;
    virtual Result<api::PolicyList> list(const std::string& chain) = 0;
    virtual Result<std::string> add(const api::AddPolicyRequest& request) = 0;
    virtual Status remove(const std::string& id) = 0;
    virtual Result<api::CommitResult> commit() = 0;
    virtual Status revert() = 0;
    virtual Status set_mode(const std::string& mode) = 0;
};

class VolumeService {
  public:
    virtual ~VolumeService() = default;
    virtual Result<std::vector<api::VolumeInfo>> list() = 0;
    virtual Result<api::VolumeInfo> create(const api::CreateVolumeRequest& request) = 0;
    virtual Result<api::VolumeInfo> inspect(const std::string& name) = 0;
    // Refused while a container uses it.
    virtual Status remove(const std::string& name) = 0;
};

class LogService {
  public:
    virtual ~LogService() = default;
    // JSON lines, the newest last.
    virtual Result<std::string> netflow(std::size_t tail_lines) = 0;
    virtual Result<std::string> flow(std::size_t tail_lines) = 0;  // ends and cuts
};

class SystemService {
  public:
    virtual ~SystemService() = default;
    virtual Result<api::SystemInfo> info() = 0;
    virtual Result<std::vector<api::SystemCheck>> check() = 0;
};

struct Services {
    ContainerService& containers;
    ImageService& images;
    PolicyService& policies;
    LogService& logs;
    SystemService& system;
    VolumeService& volumes;
};

}  // namespace raind::core

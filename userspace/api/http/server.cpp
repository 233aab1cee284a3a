#include "userspace/api/http/server.h"

#include <arpa/inet.h>
#include <array>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "userspace/api/http/session.h"
#include "userspace/common/log.h"

namespace raind::api::http {

namespace {

std::string address_text(const sockaddr_storage& storage) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const void* raw =
        storage.ss_family == AF_INET6
            ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr)
            : &reinterpret_cast<const sockaddr_in&>(storage).sin_addr;
    ::inet_ntop(storage.ss_family, raw, text.data(), text.size());
    return text.data();
}

void set_option(int fd, int level, int name, int value) {
    if (::setsockopt(fd, level, name, &value, sizeof value) != 0)
        log::warning("api: socket option {}/{}: {}", level, name, std::strerror(errno));
}

// Small answers leave at once; a peer that vanished without a word is noticed after half a minute.
void tune(int fd) {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 15);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

}  // namespace

Server::Server(ServerOptions options, CallFactory& factory, TlsServer tls)
    : options_(std::move(options)),
      factory_(factory),
      gate_(options_.limits),
      tls_(std::make_shared<const TlsServer>(std::move(tls))) {
}

Server::~Server() {
    stop();
}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, CallFactory& factory) {
    RAIND_TRY(TlsServer tls, TlsServer::load(options.tls));
    std::unique_ptr<Server> server(new Server(std::move(options), factory, std::move(tls)));
    RAIND_CHECK(server->listen().context("listen on " + server->options_.address));
    server->acceptor_ = std::jthread([raw = server.get()] { raw->accept_loop(); });
    return server;
}

Status Server::listen_on(int family, const void* address, unsigned size) {
    listener_.reset(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!listener_)
        return os_error("socket");
    set_option(listener_.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (::bind(listener_.get(), static_cast<const sockaddr*>(address), size) != 0)
        return os_error("bind");
    if (::listen(listener_.get(), options_.limits.backlog) != 0)
        return os_error("listen");
    return {};
}

Status Server::listen() {
    wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake_)
        return os_error("eventfd");
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    if (::inet_pton(AF_INET, options_.address.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(options_.port);
        RAIND_CHECK(listen_on(AF_INET, &v4, sizeof v4));
    } else if (::inet_pton(AF_INET6, options_.address.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(options_.port);
        RAIND_CHECK(listen_on(AF_INET6, &v6, sizeof v6));
    } else {
        return Error(Errc::InvalidArgument, "not an IP address");
    }
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    if (::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0)
        return os_error("getsockname");
    // The port is at the same place in both families.
    port_ = ntohs(reinterpret_cast<const sockaddr_in&>(bound).sin_port);
    return {};
}

std::string Server::address() const {
    const bool v6 = options_.address.find(':') != std::string::npos;
    return v6 ? fmt::format("[{}]:{}", options_.address, port_)
              : fmt::format("{}:{}", options_.address, port_);
}

std::shared_ptr<const TlsServer> Server::tls() {
    const std::lock_guard lock(tls_mutex_);
    return tls_;
}

Status Server::reload_tls() {
    RAIND_TRY(TlsServer fresh, TlsServer::load(options_.tls));
    auto shared = std::make_shared<const TlsServer>(std::move(fresh));
    const std::lock_guard lock(tls_mutex_);
    tls_ = std::move(shared);
    return {};
}

std::size_t Server::connections_now() {
    const std::lock_guard lock(sessions_mutex_);
    return sessions_.size();
}

void Server::reap() {
    std::list<std::unique_ptr<Session>> ended;
    {
        const std::lock_guard lock(sessions_mutex_);
        for (auto it = sessions_.begin(); it != sessions_.end();) {
            const auto next = std::next(it);
            if ((*it)->over())
                ended.splice(ended.end(), sessions_, it);
            it = next;
        }
    }
    // Their threads are at their end: joining here waits for nothing.
}

// Whether another connection may come in. At the limit, the connection that has been idle for
// longest is closed; clients beyond wait in the backlog.
bool Server::make_room() {
    const std::lock_guard lock(sessions_mutex_);
    if (sessions_.size() < options_.limits.connections)
        return true;
    Session* idlest = nullptr;
    for (const auto& session : sessions_) {
        if (session->idle_since() != 0 &&
            (idlest == nullptr || session->idle_since() < idlest->idle_since()))
            idlest = session.get();
    }
    if (idlest != nullptr)
        idlest->interrupt();
    return false;
}

void Server::accept_one() {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    UniqueFd fd(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&from), &size,
                          SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
            log::warning("api: accept: {}", std::strerror(errno));
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
        return;
    }
    tune(fd.get());
    ++accepted_;
    const auto notify = [this] {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t ignored = ::write(wake_.get(), &one, sizeof one);
    };
    Session::Shared shared{factory_, gate_, options_.limits, stop_.get_token()};
    const std::lock_guard lock(sessions_mutex_);
    sessions_.push_back(std::make_unique<Session>(std::move(fd), address_text(from), tls(),
                                                  std::move(shared), notify));
}

void Server::accept_loop() {
    constexpr int kRecheckMs = 100;
    while (!stop_.stop_requested()) {
        reap();
        const bool room = make_room();
        std::array<pollfd, 2> entries{pollfd{wake_.get(), POLLIN, 0},
                                      pollfd{room ? listener_.get() : -1, POLLIN, 0}};
        ::poll(entries.data(), entries.size(), room ? -1 : kRecheckMs);
        std::uint64_t count = 0;
        [[maybe_unused]] const ssize_t ignored = ::read(wake_.get(), &count, sizeof count);
        if (room && (entries[1].revents & POLLIN) != 0 && !stop_.stop_requested()) {
            try {
                accept_one();
            } catch (const std::exception& error) {
                log::error("api: new connection: {}", error.what());
            }
        }
    }
}

void Server::stop() {
    stop_.request_stop();
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(wake_.get(), &one, sizeof one);
    if (acceptor_.joinable())
        acceptor_.join();
    listener_.reset();
    const Deadline end = Clock::now() + options_.limits.drain;
    bool busy = true;
    while (busy) {
        reap();
        busy = false;
        const bool patient = Clock::now() < end;
        {
            const std::lock_guard lock(sessions_mutex_);
            for (const auto& session : sessions_) {
                busy = true;
                if (!session->in_call() || !patient)
                    session->interrupt();
            }
        }
        if (busy)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

}  // namespace raind::api::http

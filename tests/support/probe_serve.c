// The echo server of `probe`: TCP and UDP, IPv4 and IPv6, one poll loop.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

enum { kMaxSockets = 512, kMaxLogLines = 100000 };
enum kind { LISTENER, DATAGRAM, STREAM };

struct server {
    struct pollfd items[kMaxSockets];
    enum kind kinds[kMaxSockets];
    int count;
    bool log;
    long lines;
};

static void log_peer(struct server* server, const char* what, const struct sockaddr_storage* peer) {
    char text[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;
    if (!server->log || server->lines >= kMaxLogLines)
        return;
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in* v4 = (const struct sockaddr_in*)peer;
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
        port = ntohs(v4->sin_port);
    } else if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6* v6 = (const struct sockaddr_in6*)peer;
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
        port = ntohs(v6->sin6_port);
    }
    ++server->lines;
    printf("%s from %s port %u\n", what, text, port);
    fflush(stdout);
}

static bool add_socket(struct server* server, int fd, enum kind kind) {
    if (server->count == kMaxSockets)
        return false;
    server->items[server->count] = (struct pollfd){fd, POLLIN, 0};
    server->kinds[server->count++] = kind;
    return true;
}

// Binds one family; with port 0 the chosen port comes back in *port, so that the other family and
// the ready line use the same one.
static int bind_family(int family, int type, uint16_t* port) {
    struct address any;
    parse_address(family == AF_INET ? "0.0.0.0" : "::", *port, &any);
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    if (family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
    } else {
        setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
    }
    if (type == SOCK_STREAM)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    socklen_t length = any.length;
    if (bind(fd, (struct sockaddr*)&any.storage, any.length) != 0 ||
        (type == SOCK_STREAM && listen(fd, 128) != 0) ||
        getsockname(fd, (struct sockaddr*)&any.storage, &length) != 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(((struct sockaddr_in*)&any.storage)->sin_port);
    return fd;
}

// Both families; a host without IPv6 serves IPv4 alone and says so.
static bool open_port(struct server* server, int type, uint16_t port) {
    const char* name = type == SOCK_STREAM ? "tcp" : "udp";
    enum kind kind = type == SOCK_STREAM ? LISTENER : DATAGRAM;
    int v4 = bind_family(AF_INET, type, &port);
    if (v4 < 0 || !add_socket(server, v4, kind))
        return false;
    int v6 = bind_family(AF_INET6, type, &port);
    if (v6 >= 0 && !add_socket(server, v6, kind))
        return false;
    if (v6 < 0 && errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)
        return false;
    printf("%s %u%s\n", name, (unsigned)port, v6 < 0 ? " (IPv4 only)" : "");
    return true;
}

static void accept_stream(struct server* server, int listener) {
    struct sockaddr_storage peer;
    socklen_t length = sizeof(peer);
    int fd = accept4(listener, (struct sockaddr*)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    log_peer(server, "tcp", &peer);
    if (!add_socket(server, fd, STREAM))
        close(fd);
}

// The answer leaves from the address that was asked: the ancillary data of the question goes back.
static void echo_datagram(struct server* server, int fd) {
    char data[2048];
    char control[256];
    struct sockaddr_storage peer;
    struct iovec vector = {data, sizeof(data)};
    struct msghdr message = {.msg_name = &peer,
                             .msg_namelen = sizeof(peer),
                             .msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(fd, &message, 0);
    if (got < 0)
        return;
    log_peer(server, "udp", &peer);
    for (struct cmsghdr* item = CMSG_FIRSTHDR(&message); item != NULL;
         item = CMSG_NXTHDR(&message, item)) {
        if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_PKTINFO)
            ((struct in_pktinfo*)CMSG_DATA(item))->ipi_ifindex = 0;
    }
    vector.iov_len = (size_t)got;
    (void)!sendmsg(fd, &message, MSG_NOSIGNAL);
}

// False when the connection is over.
static bool echo_stream(int fd) {
    char data[4096];
    ssize_t got = recv(fd, data, sizeof(data), 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    return got > 0 && send(fd, data, (size_t)got, MSG_NOSIGNAL) == got;
}

static void serve_ready(struct server* server) {
    for (int i = server->count - 1; i >= 0; --i) {
        if (server->items[i].revents == 0)
            continue;
        int fd = server->items[i].fd;
        if (server->kinds[i] == LISTENER) {
            accept_stream(server, fd);
        } else if (server->kinds[i] == DATAGRAM) {
            echo_datagram(server, fd);
        } else if (!echo_stream(fd)) {
            close(fd);
            --server->count;
            server->items[i] = server->items[server->count];
            server->kinds[i] = server->kinds[server->count];
        }
    }
}

int run_serve(const struct options* opts) {
    static struct server server;
    server.log = opts->log;
    for (int i = 0; i < opts->tcp_count; ++i) {
        if (!open_port(&server, SOCK_STREAM, opts->tcp_ports[i]))
            return die("tcp port");
    }
    for (int i = 0; i < opts->udp_count; ++i) {
        if (!open_port(&server, SOCK_DGRAM, opts->udp_ports[i]))
            return die("udp port");
    }
    printf("ready\n");
    fflush(stdout);
    // An hour at most, so that a forgotten server ends by itself.
    int64_t deadline = now_ns() + (opts->timeout_ms > 0 ? opts->timeout_ms : 3600000) * 1000000LL;
    while (now_ns() < deadline) {
        int64_t left_ms = (deadline - now_ns()) / 1000000 + 1;
        int ready = poll(server.items, (nfds_t)server.count, (int)left_ms);
        if (ready < 0 && errno != EINTR)
            return die("poll");
        if (ready > 0)
            serve_ready(&server);
    }
    return 0;
}

// The client side of `probe`: one attempt over TCP, UDP or ICMP, a held connection, first packets,
// a flood.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

enum { kDefaultTimeoutMs = 2000 };

static int64_t deadline_of(const struct options* opts, long fallback_ms) {
    long ms = opts->timeout_ms > 0 ? opts->timeout_ms : fallback_ms;
    return now_ns() + (int64_t)ms * 1000000;
}

bool parse_address(const char* text, long port, struct address* out) {
    memset(out, 0, sizeof(*out));
    struct sockaddr_in* v4 = (struct sockaddr_in*)&out->storage;
    struct sockaddr_in6* v6 = (struct sockaddr_in6*)&out->storage;
    if (port < 0 || port > 65535)
        return false;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        out->length = sizeof(*v4);
        out->family = AF_INET;
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        out->length = sizeof(*v6);
        out->family = AF_INET6;
        return true;
    }
    return false;
}

bool parse_target(const struct options* opts, bool with_port, struct address* out) {
    long port = 0;
    if (with_port) {
        char* end = NULL;
        port = strtol(opts->words[1], &end, 10);
        if (*opts->words[1] == '\0' || *end != '\0' || port < 1 || port > 65535)
            port = -1;
    }
    if (parse_address(opts->words[0], port, out))
        return true;
    fprintf(stderr, "probe: bad address or port\n");
    return false;
}

int open_socket(const struct address* target, int type, int protocol, const struct options* opts) {
    int fd = socket(target->family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0)
        return -1;
    if (opts->from == NULL && opts->source_port == 0)
        return fd;
    struct address source;
    const char* any = target->family == AF_INET ? "0.0.0.0" : "::";
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    errno = EINVAL;
    if (!parse_address(opts->from != NULL ? opts->from : any, opts->source_port, &source) ||
        bind(fd, (struct sockaddr*)&source.storage, source.length) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

bool wait_for(int fd, short events, int64_t deadline_ns) {
    for (int turn = 0; turn < 100000; ++turn) {
        int64_t left = deadline_ns - now_ns();
        if (left <= 0)
            return false;
        struct pollfd item = {fd, events, 0};
        int ready = poll(&item, 1, (int)(left / 1000000) + 1);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
    return false;
}

enum outcome connect_within(int fd, const struct address* target, int64_t deadline_ns) {
    if (connect(fd, (const struct sockaddr*)&target->storage, target->length) == 0)
        return OK;
    if (errno != EINPROGRESS)
        return outcome_of_errno(errno);
    if (!wait_for(fd, POLLOUT, deadline_ns))
        return TIMEOUT;
    int err = 0;
    socklen_t length = sizeof(err);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length) != 0)
        return FAILED;
    return err == 0 ? OK : outcome_of_errno(err);
}

enum outcome echo_once(int fd, const void* data, size_t length, int64_t deadline_ns) {
    char buffer[2048];
    if (send(fd, data, length, MSG_NOSIGNAL) != (ssize_t)length)
        return outcome_of_errno(errno);
    size_t have = 0;
    for (int turn = 0; turn < 1000 && have < length; ++turn) {
        if (!wait_for(fd, POLLIN, deadline_ns))
            return TIMEOUT;
        ssize_t got = recv(fd, buffer + have, sizeof(buffer) - have, 0);
        if (got == 0)
            return CUT;
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return outcome_of_errno(errno);
        if (got > 0)
            have += (size_t)got;
    }
    return have == length && memcmp(buffer, data, length) == 0 ? OK : FAILED;
}

static enum outcome attempt(const struct options* opts, const struct address* target, int type) {
    int64_t deadline = deadline_of(opts, kDefaultTimeoutMs);
    int fd = open_socket(target, type, 0, opts);
    if (fd < 0)
        return outcome_of_errno(errno);
    enum outcome result = connect_within(fd, target, deadline);
    long count = opts->count > 0 ? opts->count : 1;
    for (long i = 0; i < count && result == OK; ++i) {
        char text[32];
        int length = snprintf(text, sizeof(text), "probe %ld", i);
        result = echo_once(fd, text, (size_t)length, deadline);
    }
    close(fd);
    return result;
}

static int run_echo(const struct options* opts, int type) {
    struct address target;
    if (!parse_target(opts, true, &target))
        return EXIT_USAGE;
    return report(attempt(opts, &target, type));
}

int run_tcp(const struct options* opts) {
    return run_echo(opts, SOCK_STREAM);
}

int run_udp(const struct options* opts) {
    return run_echo(opts, SOCK_DGRAM);
}

// The kernel sets identifier and checksum of datagram ICMP sockets and matches the replies.
static enum outcome ping_once(int fd, int family, uint16_t sequence, int64_t deadline) {
    struct icmphdr request;
    memset(&request, 0, sizeof(request));
    request.type = family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    request.un.echo.sequence = htons(sequence);
    uint8_t want = family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    if (send(fd, &request, sizeof(request), MSG_NOSIGNAL) < 0)
        return outcome_of_errno(errno);
    for (int turn = 0; turn < 1000; ++turn) {
        struct icmphdr answer;
        if (!wait_for(fd, POLLIN, deadline))
            return TIMEOUT;
        ssize_t got = recv(fd, &answer, sizeof(answer), 0);
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return outcome_of_errno(errno);
        if (got == (ssize_t)sizeof(answer) && answer.type == want &&
            answer.un.echo.sequence == request.un.echo.sequence)
            return OK;
    }
    return FAILED;
}

int run_icmp(const struct options* opts) {
    struct address target;
    if (!parse_target(opts, false, &target))
        return EXIT_USAGE;
    int64_t deadline = deadline_of(opts, kDefaultTimeoutMs);
    int protocol = target.family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    int fd = open_socket(&target, SOCK_DGRAM, protocol, opts);
    if (fd < 0)
        return die("ICMP datagram socket (net.ipv4.ping_group_range?)");
    enum outcome result = connect_within(fd, &target, deadline);
    long count = opts->count > 0 ? opts->count : 1;
    for (long i = 0; i < count && i < 65536 && result == OK; ++i)
        result = ping_once(fd, target.family, (uint16_t)i, deadline);
    close(fd);
    return report(result);
}

int run_hold(const struct options* opts) {
    struct address target;
    if (!parse_target(opts, true, &target))
        return EXIT_USAGE;
    int64_t deadline = deadline_of(opts, 60000);
    long interval = opts->interval_ms > 0 ? opts->interval_ms : 100;
    int fd = open_socket(&target, SOCK_STREAM, 0, opts);
    if (fd < 0)
        return die("socket");
    enum outcome result = connect_within(fd, &target, now_ns() + 2000000000);
    if (result != OK)
        return report(result);
    printf("open\n");
    fflush(stdout);
    long exchanged = 0;
    int64_t next_line = now_ns() + 1000000000;
    while (now_ns() < deadline) {
        // A connection whose packets are silently dropped counts as cut after a second.
        if (echo_once(fd, "x", 1, now_ns() + 1000000000) != OK) {
            printf("cut after %ld bytes\n", exchanged);
            close(fd);
            return EXIT_CUT;
        }
        ++exchanged;
        if (now_ns() >= next_line) {
            printf("held %ld bytes\n", exchanged);
            fflush(stdout);
            next_line += 1000000000;
        }
        sleep_ms(interval);
    }
    printf("closed after %ld bytes\n", exchanged);
    close(fd);
    return 0;
}

int run_first(const struct options* opts) {
    struct address target;
    if (!parse_target(opts, true, &target))
        return EXIT_USAGE;
    long rounds = opts->count > 0 && opts->count < 1000 ? opts->count : 1;
    long wait_ms = opts->timeout_ms > 0 ? opts->timeout_ms : 1000;
    bool answered = false;
    for (long i = 0; i < rounds; ++i) {
        int udp = open_socket(&target, SOCK_DGRAM, 0, opts);
        int tcp = open_socket(&target, SOCK_STREAM, 0, opts);
        if (udp < 0 || tcp < 0)
            return die("socket");
        // Connected, so that an ICMP error comes back as an answer.
        (void)connect_within(udp, &target, 0);
        (void)!send(udp, "first", 5, MSG_NOSIGNAL);
        int64_t deadline = now_ns() + (int64_t)wait_ms * 1000000;
        enum outcome tcp_result = connect_within(tcp, &target, deadline);
        char buffer[16];
        enum outcome udp_result = TIMEOUT;
        if (wait_for(udp, POLLIN, deadline) || wait_for(udp, POLLIN, now_ns() + 1000000))
            udp_result = recv(udp, buffer, sizeof(buffer), 0) == 5 ? OK : outcome_of_errno(errno);
        answered = answered || tcp_result == OK || udp_result == OK;
        printf("tcp %s udp %s\n", outcome_word(tcp_result), outcome_word(udp_result));
        fflush(stdout);
        close(udp);
        close(tcp);
        if (opts->interval_ms > 0 && i + 1 < rounds)
            sleep_ms(opts->interval_ms);
    }
    return answered ? EXIT_ANSWERED : EXIT_SILENT;
}

int run_flood(const struct options* opts) {
    struct address target;
    if (!parse_target(opts, true, &target))
        return EXIT_USAGE;
    int fd = open_socket(&target, SOCK_DGRAM, 0, opts);
    if (fd < 0)
        return die("socket");
    long count = opts->count > 0 ? opts->count : 1000;
    long sent = 0;
    for (long i = 0; i < count; ++i) {
        const struct sockaddr* to = (const struct sockaddr*)&target.storage;
        if (sendto(fd, "flood", 5, MSG_NOSIGNAL, to, target.length) == 5)
            ++sent;
    }
    close(fd);
    printf("sent %ld of %ld\n", sent, count);
    return sent > 0 ? EXIT_ANSWERED : EXIT_SILENT;
}

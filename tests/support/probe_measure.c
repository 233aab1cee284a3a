// Measurements of `probe`: medians of a 1-byte round trip and of whole short connections, each with
// the pace of the CPU before and after.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe.h"

enum { kCalibrationCalls = 2000, kCalibrationRuns = 8, kMaxSamples = 100000 };

static int compare_samples(const void* left, const void* right) {
    int64_t a = *(const int64_t*)left;
    int64_t b = *(const int64_t*)right;
    return (a > b) - (a < b);
}

// Nanoseconds of one system call now, the best of a few short runs so that being preempted does not
// show. Virtual CPUs change their speed for seconds at a time: a figure counts only if this one is
// at its usual value on both sides of it.
static long long pace(void) {
    int64_t best = INT64_MAX;
    for (int run = 0; run < kCalibrationRuns; ++run) {
        int64_t start = now_ns();
        for (int i = 0; i < kCalibrationCalls; ++i)
            syscall(SYS_getppid);
        int64_t took = now_ns() - start;
        best = took < best ? took : best;
    }
    return (long long)best / kCalibrationCalls;
}

static bool count_of(const struct options* opts, long* count) {
    *count = strtol(opts->words[2], NULL, 10);
    if (*count >= 1 && *count <= kMaxSamples)
        return true;
    fprintf(stderr, "probe: takes 1 to %d samples\n", kMaxSamples);
    return false;
}

static int print_samples(int64_t* samples, long count, long long before) {
    qsort(samples, (size_t)count, sizeof(samples[0]), compare_samples);
    printf("%lld %lld %lld\n", (long long)samples[count / 2], before, pace());
    return EXIT_ANSWERED;
}

int run_rr(const struct options* opts) {
    static int64_t samples[kMaxSamples];
    struct address target;
    long count = 0;
    if (!parse_target(opts, true, &target) || !count_of(opts, &count))
        return EXIT_USAGE;
    int64_t deadline = now_ns() + 60000000000;
    int fd = open_socket(&target, opts->udp ? SOCK_DGRAM : SOCK_STREAM, 0, opts);
    if (fd < 0)
        return die("socket");
    enum outcome result = connect_within(fd, &target, now_ns() + 2000000000);
    int on = 1;
    if (!opts->udp)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    long long before = pace();
    for (long i = 0; i < count && result == OK; ++i) {
        int64_t start = now_ns();
        result = echo_once(fd, "x", 1, deadline);
        samples[i] = now_ns() - start;
    }
    close(fd);
    return result == OK ? print_samples(samples, count, before) : report(result);
}

int run_cr(const struct options* opts) {
    static int64_t samples[kMaxSamples];
    struct address target;
    long count = 0;
    if (!parse_target(opts, true, &target) || !count_of(opts, &count))
        return EXIT_USAGE;
    int64_t deadline = now_ns() + 60000000000;
    long long before = pace();
    enum outcome result = OK;
    for (long i = 0; i < count && result == OK; ++i) {
        int64_t start = now_ns();
        int fd = open_socket(&target, SOCK_STREAM, 0, opts);
        if (fd < 0)
            return die("socket");
        result = connect_within(fd, &target, deadline);
        if (result == OK)
            result = echo_once(fd, "x", 1, deadline);
        close(fd);
        samples[i] = now_ns() - start;
    }
    return result == OK ? print_samples(samples, count, before) : report(result);
}

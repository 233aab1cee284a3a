// Shared parts of `probe`, the static test client and server used inside containers and beside
// them. Single-threaded C, no allocation, every loop bounded. Exit codes: 0 answered, 1 not
// answered (one word on standard output says how), 2 usage or set-up error, 3 an open connection
// was cut.
#ifndef RAIND_TESTS_PROBE_H
#define RAIND_TESTS_PROBE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { EXIT_ANSWERED = 0, EXIT_SILENT = 1, EXIT_USAGE = 2, EXIT_CUT = 3 };

// How an attempt ended; the word for each is printed as the result.
enum outcome { OK, REFUSED, TIMEOUT, UNREACHABLE, DENIED, CUT, FAILED };

struct address {
    struct sockaddr_storage storage;
    socklen_t length;
    int family;
};

// Options common to the sub-commands, with their defaults set by parse_options().
struct options {
    const char* words[8];  // positional arguments
    int word_count;
    long timeout_ms;
    long count;
    long interval_ms;
    long source_port;
    const char* from;  // source address to bind to
    bool udp;
    bool error_stream;
    bool log;
    bool ignore_term;
    uint16_t tcp_ports[16];
    int tcp_count;
    uint16_t udp_ports[16];
    int udp_count;
};

int64_t now_ns(void);
void sleep_ms(long ms);
const char* outcome_word(enum outcome value);
enum outcome outcome_of_errno(int err);
int report(enum outcome value);
int die(const char* what);

bool parse_address(const char* text, long port, struct address* out);
// Address (and port) of the first arguments; complains and returns false when they are bad.
bool parse_target(const struct options* opts, bool with_port, struct address* out);
// A non-blocking socket of the target's family, bound to --from and --source-port when given.
int open_socket(const struct address* target, int type, int protocol, const struct options* opts);
// Waits until the socket is ready; false on time-out.
bool wait_for(int fd, short events, int64_t deadline_ns);
enum outcome connect_within(int fd, const struct address* target, int64_t deadline_ns);
// Sends `length` bytes and waits for the same bytes.
enum outcome echo_once(int fd, const void* data, size_t length, int64_t deadline_ns);

int run_tcp(const struct options* opts);
int run_udp(const struct options* opts);
int run_icmp(const struct options* opts);
int run_hold(const struct options* opts);
int run_first(const struct options* opts);
int run_flood(const struct options* opts);
int run_rr(const struct options* opts);
int run_cr(const struct options* opts);
int run_serve(const struct options* opts);

#endif

// Entry of `probe`: options and the sub-commands without a network.

#include "probe.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char usage_text[] =
    "usage: probe COMMAND\n"
    "  serve [--tcp PORT]... [--udp PORT]... [--timeout MS] [--log]\n"
    "        echo server for IPv4 and IPv6; port 0 takes a free one; prints `tcp PORT`, `udp PORT`,\n"
    "        then `ready`; --log prints a line for each connection and datagram\n"
    "  tcp|udp ADDR PORT [--timeout MS] [--count N] [--from ADDR] [--source-port N]\n"
    "  icmp ADDR [--timeout MS] [--count N] [--from ADDR]\n"
    "        exit 0 and `ok`, or exit 1 and one of: refused timeout unreachable denied cut\n"
    "  hold ADDR PORT [--timeout MS] [--interval MS]\n"
    "        keeps a TCP connection busy; `cut` and exit 3 when it breaks, exit 0 at the time-out\n"
    "  first ADDR PORT [--timeout MS] [--count N] [--interval MS]\n"
    "        sends UDP and a TCP SYN at once; exit 0 when anything came back\n"
    "  flood ADDR PORT [--count N]   UDP datagrams as fast as they go\n"
    "  rr ADDR PORT N [--udp]        median ns of a 1-byte round trip; ns of a system call before, after\n"
    "  cr ADDR PORT N                the same of connect, 1 byte there and back, close\n"
    "  sleep SECONDS [--ignore-term]\n"
    "  exit CODE\n"
    "  print TEXT [--err] [--count N] [--interval MS]\n";

int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void sleep_ms(long ms) {
    struct timespec left = {ms / 1000, (ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

const char* outcome_word(enum outcome value) {
    static const char* const words[] = {"ok",     "refused", "timeout", "unreachable",
                                        "denied", "cut",     "failed"};
    return words[value];
}

enum outcome outcome_of_errno(int err) {
    switch (err) {
        case ECONNREFUSED:
            return REFUSED;
        case ETIMEDOUT:
        case EAGAIN:
            return TIMEOUT;
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EHOSTDOWN:
        case EADDRNOTAVAIL:
            return UNREACHABLE;
        case EPERM:
        case EACCES:
            return DENIED;
        case ECONNRESET:
        case EPIPE:
            return CUT;
        default:
            return FAILED;
    }
}

int report(enum outcome value) {
    printf("%s\n", outcome_word(value));
    fflush(stdout);
    return value == OK ? EXIT_ANSWERED : EXIT_SILENT;
}

int die(const char* what) {
    fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
    return EXIT_USAGE;
}

static int usage(const char* why) {
    fprintf(stderr, "probe: %s\n%s", why, usage_text);
    return EXIT_USAGE;
}

static bool parse_number(const char* text, long low, long high, long* out) {
    char* end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < low || value > high)
        return false;
    *out = value;
    return true;
}

static bool add_port(const char* text, uint16_t* ports, int* count) {
    long port = 0;
    if (*count >= 16 || !parse_number(text, 0, 65535, &port))
        return false;
    ports[(*count)++] = (uint16_t)port;
    return true;
}

// One option with a value; false when the name is unknown or the value is bad.
static bool set_option(struct options* opts, const char* name, const char* value) {
    if (strcmp(name, "--timeout") == 0)
        return parse_number(value, 1, 86400000, &opts->timeout_ms);
    if (strcmp(name, "--count") == 0)
        return parse_number(value, 1, 10000000, &opts->count);
    if (strcmp(name, "--interval") == 0)
        return parse_number(value, 0, 3600000, &opts->interval_ms);
    if (strcmp(name, "--source-port") == 0)
        return parse_number(value, 1, 65535, &opts->source_port);
    if (strcmp(name, "--tcp") == 0)
        return add_port(value, opts->tcp_ports, &opts->tcp_count);
    if (strcmp(name, "--udp") == 0)
        return add_port(value, opts->udp_ports, &opts->udp_count);
    if (strcmp(name, "--from") == 0) {
        opts->from = value;
        return true;
    }
    return false;
}

static bool set_flag(struct options* opts, const char* name, bool serving) {
    if (strcmp(name, "--err") == 0)
        opts->error_stream = true;
    else if (strcmp(name, "--log") == 0)
        opts->log = true;
    else if (strcmp(name, "--ignore-term") == 0)
        opts->ignore_term = true;
    else if (strcmp(name, "--udp") == 0 && !serving)
        opts->udp = true;
    else
        return false;
    return true;
}

static bool parse_options(int argc, char** argv, bool serving, struct options* opts) {
    *opts = (struct options){.timeout_ms = 0, .count = 0, .interval_ms = -1};
    for (int i = 0; i < argc; ++i) {
        if (strncmp(argv[i], "--", 2) != 0) {
            if (opts->word_count == 8)
                return false;
            opts->words[opts->word_count++] = argv[i];
        } else if (!set_flag(opts, argv[i], serving)) {
            if (i + 1 >= argc || !set_option(opts, argv[i], argv[i + 1]))
                return false;
            ++i;
        }
    }
    return true;
}

// The first process of a container gets SIGTERM only when it has a handler.
static void on_term(int signal_number) {
    _exit(128 + signal_number);
}

static int run_sleep(const struct options* opts) {
    long seconds = 0;
    if (opts->word_count != 1 || !parse_number(opts->words[0], 0, 86400, &seconds))
        return usage("sleep needs a number of seconds");
    if (opts->ignore_term)
        signal(SIGTERM, SIG_IGN);
    sleep_ms(seconds * 1000);
    return 0;
}

static int run_exit(const struct options* opts) {
    long code = 0;
    if (opts->word_count != 1 || !parse_number(opts->words[0], 0, 255, &code))
        return usage("exit needs a code from 0 to 255");
    return (int)code;
}

static int run_print(const struct options* opts) {
    if (opts->word_count != 1)
        return usage("print needs one text");
    long count = opts->count > 0 ? opts->count : 1;
    for (long i = 0; i < count; ++i) {
        if (fprintf(opts->error_stream ? stderr : stdout, "%s\n", opts->words[0]) < 0)
            return die("write");
        if (opts->interval_ms > 0) {
            fflush(stdout);
            sleep_ms(opts->interval_ms);
        }
    }
    return 0;
}

struct command {
    const char* name;
    int (*run)(const struct options* opts);
    int words;  // required positional arguments, -1: checked by the command
};

int main(int argc, char** argv) {
    static const struct command commands[] = {
        {"serve", run_serve, 0},  {"tcp", run_tcp, 2},    {"udp", run_udp, 2},
        {"icmp", run_icmp, 1},    {"hold", run_hold, 2},  {"first", run_first, 2},
        {"flood", run_flood, 2},  {"rr", run_rr, 3},      {"cr", run_cr, 3},
        {"sleep", run_sleep, -1}, {"exit", run_exit, -1}, {"print", run_print, -1}};
    if (argc < 2)
        return usage("no command");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_term);
    signal(SIGINT, on_term);
    struct options opts;
    if (!parse_options(argc - 2, argv + 2, strcmp(argv[1], "serve") == 0, &opts))
        return usage("unknown option or bad value");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); ++i) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        if (commands[i].words >= 0 && commands[i].words != opts.word_count)
            return usage("wrong number of arguments");
        int code = commands[i].run(&opts);
        fflush(stdout);
        return code;
    }
    return usage("unknown command");
}

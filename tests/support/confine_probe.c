// What a process tries against its confinement. Static C, run inside containers and, for contrast,
// outside. Every loop is bounded.
//
//   calls             one line per system call: its name and the errno it ended with
//   foreign ARCH      a call through another architecture's table: i386 or x32
//   send LINK HEX...  raw frames through a packet socket, one line for each: sent, or the error
//   limits            resource limits: number, soft, hard
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_SET_UP = 2, kMaxFrame = 2048 };

struct call {
    const char* name;
    long number;
    long args[6];
};

#define BAD ((long)-1) /* neither a descriptor nor a readable address */

// Arguments that no kernel accepts: without a filter each ends with another error than EPERM, even
// for root, because arguments are looked at before privileges are, or it takes nothing away.
static const struct call kCalls[] = {
    {"mount", SYS_mount, {BAD, BAD, BAD, 0, BAD, 0}},
    {"umount2", SYS_umount2, {BAD, 0x7f000000, 0, 0, 0, 0}},
    {"pivot_root", SYS_pivot_root, {BAD, BAD, 0, 0, 0, 0}},
    {"fsopen", SYS_fsopen, {BAD, 0x7f000000, 0, 0, 0, 0}},
    {"fsmount", SYS_fsmount, {BAD, 0x7f000000, 0, 0, 0, 0}},
    {"fsconfig", SYS_fsconfig, {BAD, 99, 0, 0, 0, 0}},
    {"fspick", SYS_fspick, {BAD, BAD, 0x7f000000, 0, 0, 0}},
    {"move_mount", SYS_move_mount, {BAD, BAD, BAD, BAD, 0x7f000000, 0}},
    {"open_tree", SYS_open_tree, {BAD, BAD, 0x7f000000, 0, 0, 0}},
    {"mount_setattr", SYS_mount_setattr, {BAD, BAD, 0x7f000000, 0, 0, 0}},
    {"unshare_user", SYS_unshare, {CLONE_NEWUSER, 0, 0, 0, 0, 0}},
    {"unshare_all", SYS_unshare, {CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS, 0, 0, 0, 0, 0}},
    {"setns", SYS_setns, {BAD, 0, 0, 0, 0, 0}},
    {"bpf", SYS_bpf, {9999, BAD, 8, 0, 0, 0}},
    {"perf_event_open", SYS_perf_event_open, {BAD, 0, 0, BAD, 0, 0}},
    {"io_uring_setup", SYS_io_uring_setup, {0, BAD, 0, 0, 0, 0}},
    {"io_uring_enter", SYS_io_uring_enter, {BAD, 0, 0, 0, 0, 0}},
    {"io_uring_register", SYS_io_uring_register, {BAD, 0, 0, 0, 0, 0}},
    {"keyctl", SYS_keyctl, {9999, 0, 0, 0, 0, 0}},
    {"add_key", SYS_add_key, {BAD, BAD, 0, 0, 0, 0}},
    {"request_key", SYS_request_key, {BAD, BAD, BAD, 0, 0, 0}},
    {"ptrace", SYS_ptrace, {9999, 99999999, 0, 0, 0, 0}},
    {"process_vm_readv", SYS_process_vm_readv, {99999999, BAD, 1, BAD, 1, 0}},
    {"process_vm_writev", SYS_process_vm_writev, {99999999, BAD, 1, BAD, 1, 0}},
    {"kcmp", SYS_kcmp, {99999999, 99999999, 0, 0, 0, 0}},
    {"userfaultfd", SYS_userfaultfd, {0x7f000000, 0, 0, 0, 0, 0}},
    {"name_to_handle_at", SYS_name_to_handle_at, {BAD, BAD, BAD, BAD, 0x7f000000, 0}},
    {"open_by_handle_at", SYS_open_by_handle_at, {BAD, BAD, 0, 0, 0, 0}},
    {"finit_module", SYS_finit_module, {BAD, BAD, 0x7f000000, 0, 0, 0}},
    {"init_module", SYS_init_module, {BAD, 8, BAD, 0, 0, 0}},
    {"delete_module", SYS_delete_module, {BAD, 0, 0, 0, 0, 0}},
    {"kexec_load", SYS_kexec_load, {0, 99999, BAD, 0x7f000000, 0, 0}},
    {"kexec_file_load", SYS_kexec_file_load, {BAD, BAD, 0, 0, 0x7f000000, 0}},
    {"reboot", SYS_reboot, {1, 2, 3, 0, 0, 0}},
    {"swapon", SYS_swapon, {BAD, 0x7f000000, 0, 0, 0, 0}},
    {"swapoff", SYS_swapoff, {BAD, 0, 0, 0, 0, 0}},
    {"acct", SYS_acct, {BAD, 0, 0, 0, 0, 0}},
    {"quotactl", SYS_quotactl, {BAD, BAD, 0, 0, 0, 0}},
    {"syslog", SYS_syslog, {9999, 0, 0, 0, 0, 0}},
    {"personality", SYS_personality, {0x0400000, 0, 0, 0, 0, 0}},
    {"socket_packet", SYS_socket, {AF_PACKET, 99, 0, 0, 0, 0}},
    {"socket_vsock", SYS_socket, {AF_VSOCK, 99, 0, 0, 0, 0}},
    {"socket_alg", SYS_socket, {AF_ALG, 99, 0, 0, 0, 0}},
    {"socket_xdp", SYS_socket, {AF_XDP, 99, 0, 0, 0, 0}},
    {"clone3", SYS_clone3, {BAD, 8, 0, 0, 0, 0}},
    {"unknown", 1999, {0, 0, 0, 0, 0, 0}},
};

// In a child of its own, for those that succeed outside.
static int errno_of(const struct call* call) {
    pid_t child = fork();
    if (child == 0) {
        const long* a = call->args;
        long done = syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
        _exit(done < 0 ? errno : 0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int clone_with_namespaces(void) {
    long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(0);
    return child < 0 ? errno : 0;
}

static int run_calls(void) {
    for (size_t i = 0; i < sizeof(kCalls) / sizeof(kCalls[0]); ++i)
        printf("%s %d\n", kCalls[i].name, errno_of(&kCalls[i]));
    printf("clone_user %d\n", clone_with_namespaces());
    return 0;
}

static int run_foreign(const char* arch) {
    long result = -1;
    if (strcmp(arch, "i386") == 0)
        __asm__ volatile("int $0x80"
                         : "=a"(result)
                         : "a"(20L)
                         : "memory", "r8", "r9", "r10", "r11");
    else
        result = syscall(0x40000000L | SYS_getpid);
    printf("%s\n", result == getpid() ? "answered" : "refused");
    return 0;
}

static size_t from_hex(const char* text, uint8_t* out) {
    size_t length = strlen(text) / 2;
    if (length > kMaxFrame)
        return 0;
    for (size_t i = 0; i < length; ++i) {
        unsigned byte = 0;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return 0;
        out[i] = (uint8_t)byte;
    }
    return length;
}

static int run_send(const char* link, char** frames, int count) {
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(link)};
    if (fd < 0 || to.sll_ifindex == 0) {
        perror("confine_probe: packet socket");
        return EXIT_SET_UP;
    }
    for (int i = 0; i < count; ++i) {
        uint8_t frame[kMaxFrame];
        size_t length = from_hex(frames[i], frame);
        ssize_t sent = sendto(fd, frame, length, 0, (struct sockaddr*)&to, sizeof(to));
        printf("%s\n", sent == (ssize_t)length ? "sent" : strerror(errno));
    }
    close(fd);
    return 0;
}

static int run_limits(void) {
    for (int i = 0; i < (int)RLIM_NLIMITS; ++i) {
        struct rlimit limit;
        if (getrlimit(i, &limit) == 0)
            printf("%d %llu %llu\n", i, (unsigned long long)limit.rlim_cur,
                   (unsigned long long)limit.rlim_max);
    }
    return 0;
}

int main(int argc, char** argv) {
    const char* command = argc > 1 ? argv[1] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(command, "calls") == 0)
        return run_calls();
    if (strcmp(command, "foreign") == 0 && argc == 3)
        return run_foreign(argv[2]);
    if (strcmp(command, "send") == 0 && argc > 3)
        return run_send(argv[2], argv + 3, argc - 3);
    if (strcmp(command, "limits") == 0)
        return run_limits();
    fprintf(stderr, "usage: confine_probe calls | foreign ARCH | send LINK HEX... | limits\n");
    return EXIT_SET_UP;
}

/* Does nothing: what the others are compared with. */
/* clang-format off */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
/* clang-format on */

char LICENSE[] SEC("license") = "GPL";

SEC("tc")
int program_empty(struct __sk_buff* ctx) {
    (void)ctx;
    return -1;
}

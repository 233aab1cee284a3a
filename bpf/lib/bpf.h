/* The kernel's and libbpf's headers, in the one order that compiles. */
#pragma once

/* clang-format off */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
/* clang-format on */

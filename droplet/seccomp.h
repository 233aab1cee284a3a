// Compiles a seccomp profile to a BPF program. Loading it is one system call, which the process
// makes itself as its last act.
#pragma once

#include <linux/filter.h>
#include <vector>

#include "raind/result.h"

#include "droplet/spec.h"

namespace raind::droplet {

struct SeccompProgram {
    std::vector<sock_filter> code;
    unsigned flags = 0;
};

// With `cache_root` a compiled program is kept below it by the hash of the profile.
Result<SeccompProgram> compile_seccomp(const Seccomp& profile, const std::string& cache_root);
Status load_seccomp(const SeccompProgram& program);

}  // namespace raind::droplet

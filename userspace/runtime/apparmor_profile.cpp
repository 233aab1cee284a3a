#include "userspace/runtime/apparmor.h"

namespace raind::runtime {

// Written without the distribution's tunables: nothing of the host changes what it means.
std::string_view default_apparmor_text() {
    return R"(# AppArmor profile of Raind's containers. condenser writes this file when it is missing and loads
# it at its start; a changed one is used as it is.
abi <abi/3.0>,

profile raind-default flags=(attach_disconnected, mediate_deleted) {
  file,

  network inet,
  network inet6,
  network unix,
  network netlink,
  deny network packet,
  unix,

  # The container's own sets decide; these not even then.
  capability,
  deny capability sys_module,
  deny capability sys_rawio,
  deny capability sys_boot,
  deny capability sys_time,
  deny capability sys_tty_config,
  deny capability syslog,
  deny capability mac_admin,
  deny capability mac_override,

  deny mount,
  deny umount,
  deny pivot_root,

  # Memory and log of the kernel.
  deny /proc/kcore rwklmx,
  deny /proc/kmem rwklmx,
  deny /proc/mem rwklmx,
  deny /proc/kmsg rwklmx,
  deny /dev/mem rwklmx,
  deny /dev/kmem rwklmx,
  deny /dev/kmsg rwklmx,
  deny /dev/port rwklmx,
  deny /dev/bpf* rwklmx,

  # Settings of the kernel.
  deny /proc/sys/** wkl,
  deny /proc/sysrq-trigger rwklmx,
  deny /sys/** wkl,
  deny /sys/firmware{,/**} rwklmx,
  deny /sys/fs/bpf{,/**} rwklmx,
  deny /sys/kernel/security{,/**} rwklmx,
  deny /etc/apparmor{,/**} rwklmx,
  deny /etc/apparmor.d{,/**} rwklmx,

  # Only among the container's own kind; signals also from the runtime outside.
  ptrace (read, readby) peer=raind-default,
  signal (send, receive) peer=raind-default,
  signal (receive) peer=unconfined,
}
)";
}

}  // namespace raind::runtime

// The foreground half of run and exec: waits for one child and hands signals on to it.
#pragma once

namespace raind::droplet {

// Blocks the signals that will be handed on: call before the child exists, so that none is lost.
void hold_signals();
// 0 to 255: the status of the child, 128+N when signal N ended it.
int supervise(int pid, int pidfd);

}  // namespace raind::droplet

// The protocol of shim.sock, the Unix socket of the process that stands beside each container.
//
// The socket lies in the container's directory (mode 0600); only root is answered (SO_PEERCRED). A
// connection carries one request:
//
//   client: one JSON line, at most kRequestLimit bytes
//     {"op":"attach"}                           the container's output from now on; no backlog
//     {"op":"exec","process":{...},"exec_id":"...","detach":false}
//                                               process: the OCI object; exec_id: optional
//     {"op":"wait"}                             answered when the container has ended
//     {"op":"signal","signal":"TERM"}           to the container's first process
//     {"op":"signal","signal":"TERM","exec_id":"..."}
//     {"op":"resize",...}                       refused: there are no terminals yet
//     {"op":"status"}
//   shim: one JSON line
//     {"ok":true,...}    exec: "pid"; status: "pid", "id", "log_dropped";
//                        wait: "exit_code", "signal", "oom"
//     {"ok":false,"error":"...","code":N,"stage":"..."}   code: 126, 127 (the program), else 1
//
// After an accepted attach, or an exec without "detach", both sides send frames: 1 byte type,
// 4 bytes big-endian length, payload. The types are those of raind.streams.v1:
//   to the client:   kStdout, kStderr: bytes; kExit: {"exit_code":N,"signal":"..."}, the last
//   frame,
//                    after which the shim closes. exit_code is 128+N after signal N.
//   from the client: kStdin: bytes, empty is the end of input; kSignal: a signal's name;
//                    kResize is ignored. attach takes none of them but ignores them.
// A longer frame than kFrameLimit ends the connection.
//
// Bounds. Output of the container is never held up: an attached client that has kAttachBacklog
// bytes outstanding is dropped. An exec's own output waits for its client (it is a stream that must
// be complete). If the client goes away the process runs on, its output is dropped and counted, and
// its end is written to exec-<exec_id>.json in the container's directory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace raind::shim {

constexpr const char* kSocketName = "shim.sock";
constexpr const char* kExitFile = "exit.json";

constexpr std::size_t kRequestLimit = 1U << 20;
constexpr std::size_t kFrameLimit = 8U << 20;
constexpr std::size_t kFrameHeader = 5;
constexpr std::size_t kAttachBacklog = 4U << 20;

// To the client.
constexpr std::uint8_t kStdout = 1;
constexpr std::uint8_t kStderr = 2;
constexpr std::uint8_t kExit = 3;
// From the client.
constexpr std::uint8_t kStdin = 0;
constexpr std::uint8_t kResize = 1;
constexpr std::uint8_t kSignal = 2;

}  // namespace raind::shim

#!/usr/bin/env python3
"""Looks at every frame of one interface, in both directions.

usage: sniffer.py INTERFACE PORT      counts TCP and UDP frames with the port, either family
       sniffer.py INTERFACE WORD-     finds the markers `WORD-<letters>` in the frames
Prints `ready`; on SIGTERM the count, or the markers in one line, then ends.
"""
import re
import signal
import socket
import struct
import sys

ETH_P_ALL = 3


def ports_of(frame):
    kind = struct.unpack_from("!H", frame, 12)[0]
    if kind == 0x0800 and len(frame) >= 34:
        protocol, offset = frame[23], 14 + 4 * (frame[14] & 15)
    elif kind == 0x86DD and len(frame) >= 54:
        protocol, offset = frame[20], 54
    else:
        return ()
    return struct.unpack_from("!HH", frame, offset) if protocol in (6, 17) and len(frame) >= offset + 4 else ()


def main():
    interface, wanted = sys.argv[1:3]
    port = int(wanted) if wanted.isdigit() else None
    pattern = re.compile(re.escape(wanted).encode() + rb"[a-z0-9_]+")
    count, markers = 0, set()

    def finish(*_):
        print(count if port is not None else " ".join(sorted(markers)), flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, finish)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap:
        tap.bind((interface, 0))
        print("ready", flush=True)
        while True:
            # Frames that this host sends out are seen as well; both directions count.
            frame = tap.recv(65535)
            if port is None:
                markers.update(found.decode() for found in pattern.findall(frame))
            elif port in ports_of(frame):
                count += 1


main()

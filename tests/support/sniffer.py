#!/usr/bin/env python3
"""Counts frames on one interface that carry TCP or UDP with a given port, either family.

usage: sniffer.py INTERFACE PORT    prints `ready`; on SIGTERM the count, then ends
"""
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
    interface, port = sys.argv[1], int(sys.argv[2])
    count = 0

    def finish(*_):
        print(count, flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, finish)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap:
        tap.bind((interface, 0))
        print("ready", flush=True)
        while True:
            frame, address = tap.recvfrom(65535)
            # Frames that this host sends out are seen as well; both directions count.
            if port in ports_of(frame):
                count += 1


main()

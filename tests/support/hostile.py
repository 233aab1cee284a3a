#!/usr/bin/env python3
"""Sends frames that a hostile container could send. Run inside its network namespace.

usage: hostile.py OWN_MAC OWN_IP4 OWN_IP6 TARGET_MAC TARGET_IP4 TARGET_IP6 GATEWAY_MAC GATEWAY_IP4 PORT
"""
import socket
import struct
import sys
import time

MARK = b"raind-hostile-frame"


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp(source, target, port, family):
    body = struct.pack("!HHHH", 40000, port, 8 + len(MARK), 0) + MARK
    pseudo = source + target + (struct.pack("!BBH", 0, 17, len(body)) if family == 4 else
                                struct.pack("!IBBBB", len(body), 0, 0, 0, 17))
    return body[:6] + struct.pack("!H", checksum(pseudo + body) or 0xFFFF) + body[8:]


def ip4(source, target, port, options=b"", fragment=0):
    source, target = socket.inet_aton(source), socket.inet_aton(target)
    payload = udp(source, target, port, 4)
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | (5 + len(options) // 4), 0, 20 + len(options) + len(payload), 7, fragment,
                       64, 17, 0, source, target) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ip6(source, target, port):
    source, target = (socket.inet_pton(socket.AF_INET6, a) for a in (source, target))
    payload = udp(source, target, port, 6)
    return struct.pack("!IHBB", 0x60000000, len(payload), 17, 64) + source + target + payload


def arp(kind, sender_mac, sender_ip, target_mac, target_ip):
    return struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, kind, sender_mac, socket.inet_aton(sender_ip), target_mac,
                       socket.inet_aton(target_ip))


def frames(own_mac, own4, own6, target_mac, target4, target6, gateway_mac, gateway4, port):
    own_mac, target_mac, gateway_mac = mac(own_mac), mac(target_mac), mac(gateway_mac)
    port = int(port)
    every = b"\xff" * 6

    def eth(target, source, kind, body):
        return target + source + struct.pack("!H", kind) + body

    plain = ip4(own4, target4, port)
    return {
        "plain, to the target's MAC": eth(target_mac, own_mac, 0x0800, plain),
        "plain, to the gateway's MAC": eth(gateway_mac, own_mac, 0x0800, plain),
        "plain, IPv6": eth(gateway_mac, own_mac, 0x86DD, ip6(own6, target6, port)),
        "another's source address": eth(gateway_mac, own_mac, 0x0800, ip4("10.166.0.77", target4, port)),
        "the gateway's source address": eth(gateway_mac, own_mac, 0x0800, ip4(gateway4, target4, port)),
        "an outside source address": eth(gateway_mac, own_mac, 0x0800, ip4("198.51.100.7", target4, port)),
        "another's IPv6 source address": eth(gateway_mac, own_mac, 0x86DD, ip6("fd00::77", target6, port)),
        "a v4-mapped source address": eth(gateway_mac, own_mac, 0x86DD, ip6("::ffff:10.166.0.77", target6, port)),
        "another's source MAC": eth(gateway_mac, target_mac, 0x0800, plain),
        "a VLAN tag": eth(gateway_mac, own_mac, 0x8100, struct.pack("!HH", 5, 0x0800) + plain),
        "IP options": eth(gateway_mac, own_mac, 0x0800, ip4(own4, target4, port, b"\x01" * 4)),
        "a first fragment": eth(gateway_mac, own_mac, 0x0800, ip4(own4, target4, port, fragment=0x2000)),
        "a later fragment": eth(gateway_mac, own_mac, 0x0800, ip4(own4, target4, port, fragment=5)),
        "broadcast": eth(every, own_mac, 0x0800, ip4(own4, "10.166.0.255", port)),
        "limited broadcast": eth(every, own_mac, 0x0800, ip4(own4, "255.255.255.255", port)),
        "multicast": eth(bytes.fromhex("01005e000001"), own_mac, 0x0800, ip4(own4, "224.0.0.1", port)),
        "ARP answer for the gateway": eth(target_mac, own_mac, 0x0806, arp(2, own_mac, gateway4, target_mac, target4)),
        "gratuitous ARP for the target": eth(every, own_mac, 0x0806, arp(1, own_mac, target4, b"\0" * 6, target4)),
        "an unknown EtherType": eth(target_mac, own_mac, 0x88CC, MARK + plain),
        "LLC": eth(target_mac, own_mac, 40, MARK + b"\0" * 40),
    }


def main():
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as tap:
        tap.bind(("eth0", 0))
        for name, frame in frames(*sys.argv[1:]).items():
            # Denials of one kind to one destination are recorded once a second.
            if "source address" in name:
                time.sleep(1.1)
            tap.send(frame)
            print(name)


main()

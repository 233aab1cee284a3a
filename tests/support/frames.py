"""Frames as a hostile container would make them: Ethernet, VLAN, ARP, UDP over both families, NDP."""
import ipaddress
import struct


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def ip(text):
    return ipaddress.ip_address(text).packed


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ether(destination, source, kind, payload, vlan=None):
    tag = struct.pack("!HH", 0x8100, vlan) if vlan is not None else b""
    return mac(destination) + mac(source) + tag + struct.pack("!H", kind) + payload


def pseudo(source, destination, length, protocol):
    if len(source) == 4:
        return source + destination + struct.pack("!BBH", 0, protocol, length)
    return source + destination + struct.pack("!II", length, protocol)


def network(source, destination, protocol, payload, hops=64):
    """The IP packet and its EtherType."""
    if len(source) == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, hops, protocol, 0) + source + destination
        return 0x0800, head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload
    return 0x86DD, struct.pack("!IHBB", 6 << 28, len(payload), protocol, hops) + source + destination + payload


def udp(source, destination, data, sport=5555, dport=7000):
    source, destination = ip(source), ip(destination)
    head = struct.pack("!HHHH", sport, dport, 8 + len(data), 0)
    total = checksum(pseudo(source, destination, len(head) + len(data), 17) + head + data) or 0xFFFF
    return network(source, destination, 17, head[:6] + struct.pack("!H", total) + data)


def arp(operation, sender_mac, sender_ip, target_mac, target_ip, data=b""):
    return 0x0806, (struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + mac(sender_mac) + ip(sender_ip)
                    + mac(target_mac) + ip(target_ip) + data)


def icmp6(source, destination, kind, body, hops=255):
    source, destination = ip(source), ip(destination)
    head = struct.pack("!BBH", kind, 0, 0) + body
    total = checksum(pseudo(source, destination, len(head), 58) + head)
    return network(source, destination, 58, head[:2] + struct.pack("!H", total) + head[4:], hops)


def advertisement(source, destination, target, claimed_mac, data=b""):
    """Neighbour advertisement with override, for `target` at `claimed_mac`."""
    options = b"\x02\x01" + mac(claimed_mac)
    if data:
        data += b"\0" * (-(len(data) + 2) % 8)
        options += struct.pack("!BB", 253, (len(data) + 2) // 8) + data
    return icmp6(source, destination, 136, struct.pack("!I", 0x20000000) + ip(target) + options)


def router_advertisement(source, data=b""):
    body = struct.pack("!BBHII", 64, 0, 1800, 0, 0)
    data += b"\0" * (-(len(data) + 2) % 8)
    return icmp6(source, "ff02::1", 134, body + struct.pack("!BB", 253, (len(data) + 2) // 8) + data)

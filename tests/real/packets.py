"""Packets as they are on a wire, of those kinds that a test asks a router about."""

from ipaddress import IPv4Address, IPv6Address
from struct import pack, unpack_from

from homelab_lib.models.packet_filter import Packet

_NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "ipv6-icmp": 58}
_NAMES = {number: name for name, number in _NUMBERS.items()}
_ECHO = {"icmp": 8, "ipv6-icmp": 128}
_SYN = 0x02


def written(packet: Packet) -> bytes:
    """A packet that opens what it is about: a SYN, an echo request, a datagram."""
    source, destination = packet.source.packed, packet.destination.packed
    number, ports = _NUMBERS[packet.protocol], (packet.source_port, packet.destination_port)
    if packet.protocol == "tcp":
        body, place = pack("!HHIIBBHHH", *ports, 1, 0, 5 << 4, _SYN, 1024, 0, 0), 16
    elif packet.protocol == "udp":
        body, place = pack("!HHHH", *ports, 8, 0), 6
    elif packet.protocol in _ECHO:
        body, place = pack("!BBHHH", _ECHO[packet.protocol], 0, 0, packet.source_port, 1), 2
    else:
        body, place = pack("!HH", 0, 0x0800), None
    if place is not None:
        pseudo = source + destination + pack("!IHH", len(body), 0, number)
        summed = _checksum(body if packet.protocol == "icmp" else pseudo + body)
        body = body[:place] + pack("!H", summed) + body[place + 2 :]
    if packet.source.version == 6:
        return pack("!IHBB", 6 << 28, len(body), number, 64) + source + destination + body
    head = pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, number, 0) + source + destination
    return head[:10] + pack("!H", _checksum(head)) + head[12:] + body


def read(data: bytes) -> Packet | None:
    """Which packet it is, come by nowhere; None for what opens nothing."""
    if data[0] >> 4 == 4:
        number, body = data[9], data[20:]
        source, destination = IPv4Address(data[12:16]), IPv4Address(data[16:20])
    else:
        number, body = data[6], data[40:]
        source, destination = IPv6Address(data[8:24]), IPv6Address(data[24:40])
    protocol, ports = _NAMES.get(number), (0, 0)
    if protocol in ("tcp", "udp"):
        ports = unpack_from("!HH", body)
        if protocol == "tcp" and body[13] != _SYN:
            return None
    elif protocol in _ECHO:
        if body[0] != _ECHO[protocol]:
            return None
        ports = (unpack_from("!H", body, 4)[0], 0)
    elif protocol is None:
        return None
    return Packet("", source, destination, protocol, ports[1], ports[0])


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(unpack_from(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

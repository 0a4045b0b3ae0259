"""The enumerations of bpf/packet.h; bpf/layout.py compares them with the BPF object's BTF."""

from __future__ import annotations

from enum import IntEnum


class LinkType(IntEnum):
    """The header that a frame starts with (enum link_type)."""

    ETHERNET = 0
    IP = 1
    OPAQUE = 2


class Direction(IntEnum):
    """Direction of a packet as its interface sees it (enum direction)."""

    INGRESS = 0
    EGRESS = 1


class LinkClass(IntEnum):
    """Classes of packets that are not IP (enum link_class)."""

    OTHER = 0
    ARP = 1
    LLC = 2
    LLDP = 3
    MPLS = 4
    PPPOE = 5
    EAPOL = 6
    MACSEC = 7


class IpClass(IntEnum):
    """Classes of packets by IP protocol number (enum ip_class)."""

    OTHER = 0
    TCP = 1
    UDP = 2
    ICMP = 3
    ICMPV6 = 4
    SCTP = 5
    IGMP = 6
    GRE = 7
    ESP = 8
    AH = 9
    IPIP = 10
    IPV6 = 11
    OSPF = 12
    PIM = 13
    VRRP = 14
    DCCP = 15


class PacketClass(IntEnum):
    """Start of each family's classes in the flat index of packet classes (enum packet_class)."""

    LINK = 0
    IPV4 = 8
    IPV6 = 24
    COUNT = 40


class SizeGroup(IntEnum):
    """Groups of classes that share a histogram of sizes (enum size_group)."""

    OTHER = 0
    TCP = 1
    UDP = 2
    ICMP = 3
    ICMPV6 = 4


class Unparsed(IntEnum):
    """Reasons why a packet was parsed only in part (enum unparsed)."""

    NOTHING = 0
    TRUNCATED_LINK = 1
    TRUNCATED_NETWORK = 2
    TRUNCATED_TRANSPORT = 3
    BAD_HEADER = 4
    VLAN_DEPTH = 5
    EXTENSION_DEPTH = 6
    TRUNCATED_TUNNEL = 7


class IcmpType(IntEnum):
    """Types of ICMP and ICMPv6 messages that have a counter each (enum icmp_type)."""

    NONE = 0
    OTHER = 1
    ECHO_REPLY = 2
    UNREACHABLE = 3
    SOURCE_QUENCH = 4
    REDIRECT = 5
    ECHO_REQUEST = 6
    ROUTER_ADVERTISEMENT = 7
    ROUTER_SOLICITATION = 8
    TIME_EXCEEDED = 9
    PARAMETER_PROBLEM = 10
    TIMESTAMP_REQUEST = 11
    TIMESTAMP_REPLY = 12
    V6_OTHER = 13
    V6_UNREACHABLE = 14
    V6_PACKET_TOO_BIG = 15
    V6_TIME_EXCEEDED = 16
    V6_PARAMETER_PROBLEM = 17
    V6_ECHO_REQUEST = 18
    V6_ECHO_REPLY = 19
    V6_LISTENER_QUERY = 20
    V6_LISTENER_REPORT = 21
    V6_LISTENER_DONE = 22
    V6_ROUTER_SOLICITATION = 23
    V6_ROUTER_ADVERTISEMENT = 24
    V6_NEIGHBOR_SOLICITATION = 25
    V6_NEIGHBOR_ADVERTISEMENT = 26
    V6_REDIRECT = 27
    V6_LISTENER_REPORT_V2 = 28


class Trait(IntEnum):
    """Rare properties of packets; a packet can have several (enum trait)."""

    GROUP = 0
    BROADCAST = 1
    FRAGMENT = 2
    ECN_MARKED = 3


class Tunnel(IntEnum):
    """Protocols that carry other packets (enum tunnel)."""

    VXLAN = 0
    GENEVE = 1
    GTPU = 2
    GRE = 3
    IPIP = 4
    SIXIN4 = 5
    IP_IN_IPV6 = 6
    MPLS = 7
    PPPOE = 8

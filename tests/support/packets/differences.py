"""Packets that pktexp and tshark parse differently, each with its reason."""

CUT_OPTIONS = "an IPv4 header cut in its options: its addresses are there, but tshark shows none"
CUT_EXTENSION = "an extension header that is cut: tshark takes its word for what follows"
OF_NO_VERSION = "what a tunnel carries is of no version of IP: the tunnel itself is shown"
EXCEPTIONS = {
    "mpls-6in6-6in6-4in6-trunc.pcap": {1: CUT_OPTIONS},
    "mpls-6in6-6in6-4in6-invalid-version-4.pcap": {1: OF_NO_VERSION},
    "ipv4-internally-truncated-header.pcap": {1: CUT_OPTIONS},
    "ipv4-truncated-broken-header.pcap": {1: CUT_OPTIONS},
    "cut in options.pcap": {1: CUT_OPTIONS},
    "cut in an extension.pcap": {1: CUT_EXTENSION},
}
"""capture -> number of a packet that the two see differently -> why"""

"""Packets built by scapy with the counts expected of them, and tshark's view of captures."""

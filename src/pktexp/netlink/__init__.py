"""rtnetlink and generic netlink: the network interfaces and what the kernel reports about them.

Imports only from `packet` and the modules at the ground.
"""

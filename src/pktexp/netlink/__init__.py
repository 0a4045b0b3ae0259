"""rtnetlink and generic netlink: network interfaces and what the kernel knows of them."""

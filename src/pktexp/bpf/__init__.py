"""Everything that touches the kernel: libbpf, the datapath, its maps, and netlink."""

"""BPF programs, maps, pins and links, and the features of the kernel that runs them."""

"""The Python side of the BPF programs in bpf/: loading, maps, rings, hooks, tracepoints, pins."""

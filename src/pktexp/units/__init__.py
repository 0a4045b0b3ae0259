"""Traffic by cgroup: which systemd unit, container or pod sends and receives.

Imports from `kubernetes`, `settings`, `bpf` and the modules at the ground, nothing from
`interfaces`.
"""

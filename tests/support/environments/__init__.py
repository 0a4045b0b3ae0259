"""Surroundings that a service runs in: systemd, a container, a cgroup, few capabilities."""

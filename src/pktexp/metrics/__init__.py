"""Prometheus families: prints what the packages below know, and asks the kernel nothing itself."""

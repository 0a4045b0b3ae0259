"""A real Prometheus, and the shipped dashboard over it."""

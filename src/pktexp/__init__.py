"""pktexp: what every network interface receives, counted in the kernel, served to Prometheus."""

__version__ = "0.1.0"

"""Runs pktexp in emulated machines with network cards and many CPUs: `just test-machines`."""

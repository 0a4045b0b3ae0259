"""Mutated frames, a driver that runs them, and a dissector to compare with."""

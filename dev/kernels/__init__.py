"""Runs kernel tests in the kernels of several distributions, emulated: `just test-kernels`."""

"""pktexp: what every network interface receives, counted in the kernel, served to Prometheus."""

import os

# numpy starts a thread for each CPU when it is imported, for what pktexp never asks of it. They
# would keep the capabilities that privileges.py gives up later.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

__version__ = "0.1.0"

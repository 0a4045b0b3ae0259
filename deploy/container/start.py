#!/usr/bin/python3.13 -I
"""The command `pktexp` in the image: runs the interpreter whose file has the capabilities.

Linux starts that one only where the container was given all of them (capabilities(7)). Elsewhere
the ordinary one goes on, so that pktexp can say what is missing.
"""

import contextlib
import os
import runpy
import sys

PYTHON = "/usr/local/bin/python3-for-bpf"

with contextlib.suppress(PermissionError):
    os.execv(PYTHON, [PYTHON, "-I", "-m", "pktexp", *sys.argv[1:]])
runpy.run_module("pktexp", run_name="__main__")

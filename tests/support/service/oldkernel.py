"""A Python whose pktexp finds no TCX, as before Linux 6.6."""

from __future__ import annotations

import sys
from pathlib import Path

PROGRAM = """
import pktexp.bpf.datapath as datapath
import pktexp.bpf.pins as pins
from pktexp.commands.main import main
datapath.has_tcx = pins.has_tcx = lambda _: False
main()
"""


def without_tcx(folder: Path) -> str:
    """Write a program that runs `-m pktexp` without TCX into a folder; return its path."""
    program, script = folder / "old_kernel.py", folder / "python"
    program.write_text(PROGRAM)
    script.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} {program} "$@"\n')
    script.chmod(0o755)
    return str(script)

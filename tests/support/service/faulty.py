"""A Python whose pktexp meets errors at one function of libbpf, from a call on or once."""

from __future__ import annotations

import sys
from pathlib import Path

PROGRAM = """
import errno
from pktexp.commands.main import main
from pktexp.bpf.libbpf import BpfError, Libbpf

call, calls = Libbpf.__call__, 0

def failing(self, attempted, name, *arguments):
    global calls
    if name == {name!r}:
        calls += 1
        if {after} < calls <= {until}:
            raise BpfError(errno.ENOMEM, attempted)
    return call(self, attempted, name, *arguments)

Libbpf.__call__ = failing
main()
"""


def failing_at(folder: Path, name: str, after: int = 0, count: int = 1 << 30) -> str:
    """Write a program that runs `-m pktexp` with the fault, in `count` calls after so many."""
    program, script = folder / f"{name}_{after}.py", folder / f"python_{name}_{after}"
    program.write_text(PROGRAM.format(name=name, after=after, until=after + count))
    script.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} {program} "$@"\n')
    script.chmod(0o755)
    return str(script)

"""Programs to time at a hook, each behind pick.bpf.c, which draws the flow of every packet."""

from __future__ import annotations

import ctypes as c
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import flows
from pktexp.bpf.datapath import PROGRAMS
from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.object import BpfObject, run_program
from pktexp.packet.records import Records

SOURCE = Path(__file__).with_suffix(".bpf.c")
HOOKS = {"xdp": PROGRAMS[0], "tcx": PROGRAMS[1]}
"""Names of the programs of pick.bpf.c, and of the real program at each hook"""


@dataclass(frozen=True)
class Program:
    """A program to time; `lost` counts the events that found no room, if it sends any."""

    name: str
    hook: str
    fd: int
    sequence: Records
    lost: Callable[[], int] = lambda: 0


@contextmanager
def picked(
    lib: Libbpf, path: Path, name: str, hook: str, fd: int, lost: Callable[[], int] = lambda: 0
) -> Iterator[Program]:
    """Yield a program that picks a flow and then runs program `fd`.

    `path`: pick.bpf.c as an object.
    """
    picker = BpfObject(lib, path)
    try:
        picker.load(list(HOOKS))
        key, value = c.c_uint32(0), c.c_uint32(fd)
        target = (picker.map_fd(f"{hook}_target"), c.byref(key), c.byref(value), 0)
        lib("set the program to time", "bpf_map_update_elem", *target)
        yield Program(name, hook, picker.program_fd(hook), flows.view(picker), lost)
    finally:
        picker.close()


def nanoseconds(lib: Libbpf, program: Program, frame: bytes, repeat: int) -> float:
    """Return the mean CPU time of a run, without what else runs on the machine."""
    started = time.thread_time_ns()
    run_program(lib, program.fd, frame, repeat)
    return (time.thread_time_ns() - started) / repeat

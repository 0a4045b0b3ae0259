"""Readers that keep taking what programs send, on another CPU, while datapath.py times these.

They throw everything away: what is timed is the kernel's side, and throughput.py has the other.
"""

from __future__ import annotations

import contextlib
import ctypes as c
import os
import select
import threading
import time
from collections.abc import Callable, Iterator

from pktexp.bpf.datapath import Datapath
from pktexp.bpf.libbpf import SYSTEM_LIBRARY

PERF_PAGES = 256  # a CPU
WAIT = 0.1  # seconds
DRAIN = 1.0  # seconds between drains

LOST_CALLBACK = c.CFUNCTYPE(None, c.c_void_p, c.c_int, c.c_uint64)


@contextlib.contextmanager
def running(step: Callable[[], None], cpu: int) -> Iterator[None]:
    """Calls `step` again and again in a thread of its own on a CPU, beside the body."""
    stop = threading.Event()

    def loop() -> None:
        os.sched_setaffinity(0, {cpu})
        while not stop.is_set():
            step()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def ring_reader(datapath: Datapath, cpu: int) -> Iterator[None]:
    """Empties the first ring, woken as pktexp is, and drains the flow cache where there is one."""
    ring, cache = datapath.rings[0], datapath.flow_cache

    def drain() -> None:
        for _ in cache.drain() if cache else ():
            pass
        time.sleep(DRAIN)

    with select.epoll() as epoll:
        epoll.register(ring.fd, select.EPOLLIN | select.EPOLLET)

        def step() -> None:
            ring.arm()
            epoll.poll(WAIT)
            while len(batch := ring.batch(ring.produced)):
                ring.release(batch)

        with running(step, cpu), running(drain, cpu):
            yield


@contextlib.contextmanager
def perf_reader(map_fd: int, cpu: int) -> Iterator[Callable[[], int]]:
    """Reads a perf event array by libbpf's perf_buffer (1.0); gives the number of lost events."""
    lib = c.CDLL(SYSTEM_LIBRARY)  # the wheel's libbpf may not have these functions
    lib.perf_buffer__new.restype = c.c_void_p
    lost = 0

    def count_lost(_context: object, _cpu: int, number: int) -> None:
        nonlocal lost
        lost += number

    callback = LOST_CALLBACK(count_lost)  # kept: C holds no reference
    arguments = (map_fd, c.c_size_t(PERF_PAGES), None, callback, None, None)
    buffer = c.c_void_p(lib.perf_buffer__new(*arguments))
    if not buffer:
        raise OSError("no perf buffer")
    try:
        with running(lambda: lib.perf_buffer__poll(buffer, int(WAIT * 1000)), cpu):
            yield lambda: lost
    finally:
        lib.perf_buffer__free(buffer)

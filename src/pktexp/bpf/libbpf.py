"""Find libbpf and call it through ctypes, with errors as exceptions and its messages in our log.

The shared object is the one in the pylibbpf wheel, opened without importing that package (which
would load LLVM bindings), else the system's libbpf.so.1. Every call goes through one table of
signatures, and raises BpfError with a description of the attempted action.
"""

from __future__ import annotations

import ctypes as c
import errno
import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pktexp.errors import PktexpError

log = logging.getLogger("pktexp.libbpf")

SYSTEM_LIBRARY = "libbpf.so.1"


class BpfError(OSError):
    """A failed libbpf call: its errno, and the attempted action in words."""

    def __init__(self, code: int, attempted: str) -> None:
        super().__init__(code, f"{attempted}: {os.strerror(code)}")
        self.attempted = attempted

    def __str__(self) -> str:
        return str(self.strerror)


class VerifierError(BpfError):
    """A program that the verifier refused; `log` is the verifier's complete log."""

    def __init__(self, code: int, attempted: str, log_text: str) -> None:
        super().__init__(code, attempted)
        self.log = log_text


class LinkCreateOpts(c.Structure):
    """struct bpf_link_create_opts (libbpf 1.0), up to the last field used here."""

    _fields_ = (("sz", c.c_size_t), ("flags", c.c_uint32), ("_pad", c.c_uint32))


class MapCreateOpts(c.Structure):
    """struct bpf_map_create_opts (libbpf 1.0), up to the last field used here."""

    _fields_ = (
        ("sz", c.c_size_t),
        ("btf_fd", c.c_uint32),
        ("btf_types", c.c_uint32 * 3),
        ("inner_map_fd", c.c_uint32),
        ("map_flags", c.c_uint32),
    )


class TestRunOpts(c.Structure):
    """struct bpf_test_run_opts (libbpf 1.0)."""

    _fields_ = (
        ("sz", c.c_size_t),
        ("data_in", c.c_void_p),
        ("data_out", c.c_void_p),
        ("data_size_in", c.c_uint32),
        ("data_size_out", c.c_uint32),
        ("ctx_in", c.c_void_p),
        ("ctx_out", c.c_void_p),
        ("ctx_size_in", c.c_uint32),
        ("ctx_size_out", c.c_uint32),
        ("retval", c.c_uint32),
        ("repeat", c.c_int),
        ("duration", c.c_uint32),
        ("flags", c.c_uint32),
        ("cpu", c.c_uint32),
        ("batch_size", c.c_uint32),
    )


POINTER_TO_U32 = c.POINTER(c.c_uint32)

# Name: (result, arguments). A negative int and a null pointer are errors; None returns nothing.
SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "libbpf_version_string": (c.c_char_p, ()),
    "libbpf_probe_bpf_helper": (c.c_int, (c.c_int, c.c_int, c.c_void_p)),
    "bpf_object__open_file": (c.c_void_p, (c.c_char_p, c.c_void_p)),
    "bpf_object__load": (c.c_int, (c.c_void_p,)),
    "bpf_object__close": (None, (c.c_void_p,)),
    "bpf_object__btf": (c.c_void_p, (c.c_void_p,)),
    "bpf_object__find_map_by_name": (c.c_void_p, (c.c_void_p, c.c_char_p)),
    "bpf_object__find_program_by_name": (c.c_void_p, (c.c_void_p, c.c_char_p)),
    "bpf_map__fd": (c.c_int, (c.c_void_p,)),
    "bpf_map__initial_value": (c.c_void_p, (c.c_void_p, c.POINTER(c.c_size_t))),
    "bpf_map__set_max_entries": (c.c_int, (c.c_void_p, c.c_uint32)),
    "bpf_map__set_inner_map_fd": (c.c_int, (c.c_void_p, c.c_int)),
    "bpf_map__reuse_fd": (c.c_int, (c.c_void_p, c.c_int)),
    "bpf_map_create": (
        c.c_int,
        (c.c_int, c.c_char_p, c.c_uint32, c.c_uint32, c.c_uint32, c.c_void_p),
    ),
    "bpf_map_update_elem": (c.c_int, (c.c_int, c.c_void_p, c.c_void_p, c.c_uint64)),
    "bpf_map_delete_elem": (c.c_int, (c.c_int, c.c_void_p)),
    "bpf_map_lookup_batch": (c.c_int, (c.c_int, *(c.c_void_p,) * 4, POINTER_TO_U32, c.c_void_p)),
    "bpf_program__fd": (c.c_int, (c.c_void_p,)),
    "bpf_program__set_flags": (c.c_int, (c.c_void_p, c.c_uint32)),
    "bpf_program__set_log_buf": (c.c_int, (c.c_void_p, c.c_void_p, c.c_size_t)),
    "bpf_prog_load": (
        c.c_int,
        (c.c_int, c.c_char_p, c.c_char_p, c.c_char_p, c.c_size_t, c.c_void_p),
    ),
    "bpf_obj_get": (c.c_int, (c.c_char_p,)),
    "bpf_obj_get_info_by_fd": (c.c_int, (c.c_int, c.c_void_p, POINTER_TO_U32)),
    "bpf_obj_pin": (c.c_int, (c.c_int, c.c_char_p)),
    "bpf_prog_get_fd_by_id": (c.c_int, (c.c_uint32,)),
    "bpf_link_get_fd_by_id": (c.c_int, (c.c_uint32,)),
    "bpf_link_get_next_id": (c.c_int, (c.c_uint32, POINTER_TO_U32)),
    "bpf_link_update": (c.c_int, (c.c_int, c.c_int, c.c_void_p)),
    "bpf_link_create": (c.c_int, (c.c_int, c.c_int, c.c_int, c.POINTER(LinkCreateOpts))),
    "bpf_raw_tracepoint_open": (c.c_int, (c.c_char_p, c.c_int)),
    "bpf_prog_query": (
        c.c_int,
        (c.c_int, c.c_int, c.c_uint32, c.c_void_p, c.c_void_p, c.c_void_p),
    ),
    "bpf_prog_test_run_opts": (c.c_int, (c.c_int, c.POINTER(TestRunOpts))),
    "btf__load_vmlinux_btf": (c.c_void_p, ()),
    "btf__free": (None, (c.c_void_p,)),
    "btf__find_by_name": (c.c_int, (c.c_void_p, c.c_char_p)),
    "btf__type_by_id": (c.c_void_p, (c.c_void_p, c.c_uint32)),
    "btf__name_by_offset": (c.c_char_p, (c.c_void_p, c.c_uint32)),
    "btf__resolve_size": (c.c_int64, (c.c_void_p, c.c_uint32)),
}

# By libbpf's enum libbpf_print_level (warn, info, debug): its info lines are debug lines here.
LOG_LEVELS = (logging.WARNING, logging.DEBUG, logging.DEBUG)
QUIET_LEVELS = (logging.DEBUG,) * 3
PRINT_CALLBACK = c.CFUNCTYPE(c.c_int, c.c_int, c.c_char_p, c.c_void_p)
MESSAGE_SIZE = 4096


def candidates() -> Iterator[str]:
    """Yield shared objects that may be libbpf, best first."""
    spec = importlib.util.find_spec("pylibbpf")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        yield from map(str, sorted(Path(folder).glob("pylibbpf*.so")))
    yield SYSTEM_LIBRARY


class Libbpf:
    """An open libbpf: call it with the attempted action, a function's name, and its arguments."""

    def __init__(self, path: str) -> None:
        """Open the shared object at `path`; OSError or AttributeError if it is not libbpf."""
        self.path = path
        self._dll = c.CDLL(path, use_errno=True)
        for name, (result, arguments) in SIGNATURES.items():
            function = getattr(self._dll, name)
            function.restype, function.argtypes = result, arguments
        self._print = PRINT_CALLBACK(_print_message)  # referenced here, as C holds no reference
        self._print_quietly = PRINT_CALLBACK(partial(_print_message, levels=QUIET_LEVELS))
        self._dll.libbpf_set_print(self._print)

    def __call__(self, attempted: str, name: str, *arguments: Any) -> Any:
        """Call the function `name` and return its result; BpfError if it fails."""
        c.set_errno(0)
        result = getattr(self._dll, name)(*arguments)
        returns = SIGNATURES[name][0]
        if returns in (c.c_int, c.c_int64):
            if result < 0:
                raise BpfError(c.get_errno() or -result, attempted)
        elif returns is not None and not result:
            raise BpfError(c.get_errno() or errno.ENOENT, attempted)
        return result

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Log libbpf's messages at debug level only, while the caller reports errors itself."""
        self._dll.libbpf_set_print(self._print_quietly)
        try:
            yield
        finally:
            self._dll.libbpf_set_print(self._print)

    @property
    def version(self) -> str:
        """The version that libbpf reports, such as "v1.6"."""
        text: bytes = self("ask libbpf for its version", "libbpf_version_string")
        return text.decode()


def find() -> Libbpf:
    """Open the first available libbpf; PktexpError if there is none."""
    reasons = []
    for path in candidates():
        try:
            return Libbpf(path)
        except (OSError, AttributeError) as error:
            reasons.append(f"{path}: {error}")
    raise PktexpError(
        f"no libbpf found ({'; '.join(reasons)})",
        "install it: 'apt install libbpf1', or 'pip install pylibbpf'",
    )


def _print_message(
    level: int, template: bytes, arguments: int, levels: tuple[int, ...] = LOG_LEVELS
) -> int:
    """Log a message of libbpf; return 0.

    No exception may leave this callback: it would be lost, and C would get an arbitrary int.
    """
    try:
        severity = levels[min(level, 2)]
        if not log.isEnabledFor(severity):  # a start has hundreds at debug level
            return 0
        buffer = c.create_string_buffer(MESSAGE_SIZE)
        c.CDLL(None).vsnprintf(
            buffer, c.c_size_t(MESSAGE_SIZE), c.c_char_p(template), c.c_void_p(arguments)
        )
        text = buffer.value.decode(errors="replace").removeprefix("libbpf: ").rstrip()
        for line in text.splitlines():  # the verifier's log, for example
            log.log(severity, "%s", line)
    except Exception:
        log.debug("failed to format a message of libbpf", exc_info=True)
    return 0

"""Finding libbpf, and its errors and messages."""

from __future__ import annotations

import ctypes.util
import errno
import importlib.util
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from pktexp.bpf import datapath, libbpf
from pktexp.bpf.datapath import Datapath
from pktexp.bpf.libbpf import BpfError, Libbpf
from pktexp.bpf.options import DatapathOptions
from pktexp.errors import PktexpError


def test_the_wheels_library_is_first_and_its_package_not_imported() -> None:
    paths = list(libbpf.candidates())
    assert paths[-1] == "libbpf.so.1"
    if importlib.util.find_spec("pylibbpf"):
        assert "pylibbpf" in paths[0]
        assert libbpf.find().path == paths[0]
    assert "pylibbpf" not in sys.modules
    assert "llvmlite" not in sys.modules


def test_the_systems_library_is_used_without_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert list(libbpf.candidates()) == ["libbpf.so.1"]


def test_a_missing_libbpf_is_an_error_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    libc = str(Path(ctypes.util.find_library("c") or "libc.so.6"))
    monkeypatch.setattr(libbpf, "candidates", lambda: iter(["/nowhere/libbpf.so.1", libc]))
    with pytest.raises(PktexpError, match="no libbpf found") as caught:
        libbpf.find()
    assert "/nowhere/libbpf.so.1" in str(caught.value)
    assert libc in str(caught.value)  # it is a library, but not libbpf
    assert "apt install libbpf1" in caught.value.hint


@pytest.mark.parametrize("path", list(libbpf.candidates()))
def test_a_failed_call_is_an_oserror_with_its_action(path: str) -> None:
    lib = Libbpf(path)
    with pytest.raises(OSError, match="open the thing: No such file or directory") as caught:
        lib("open the thing", "bpf_object__open_file", b"/nowhere.o", None)
    assert isinstance(caught.value, BpfError)
    assert caught.value.errno == errno.ENOENT
    assert caught.value.attempted == "open the thing"


@pytest.mark.parametrize("path", list(libbpf.candidates()))
def test_messages_of_libbpf_are_logged(path: str, caplog: pytest.LogCaptureFixture) -> None:
    lib = Libbpf(path)
    with caplog.at_level(logging.DEBUG, "pktexp.libbpf"), pytest.raises(BpfError):
        lib("open the thing", "bpf_object__open_file", b"/nowhere.o", None)
    assert "elf: failed to open /nowhere.o: No such file or directory" in caplog.text or (
        "/nowhere.o" in caplog.text
    )
    assert {record.name for record in caplog.records} == {"pktexp.libbpf"}


def test_a_missing_object_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(PktexpError, match=r"missing\.o: No such file") as caught:
        Datapath(without_probes(), DatapathOptions(), tmp_path / "missing.o")
    assert "make -C bpf" in caught.value.hint


def test_a_broken_object_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.o"
    broken.write_bytes(b"\x7fELF" + bytes(100))
    with pytest.raises(PktexpError, match=r"broken\.o"):
        Datapath(without_probes(), DatapathOptions(), broken)


def test_a_kernel_without_ring_buffers_is_an_error_with_a_hint() -> None:
    with pytest.raises(PktexpError, match="no BPF ring buffer") as caught:
        Datapath(without_probes(errno.EINVAL), DatapathOptions(), datapath.OBJECT)
    assert "Linux 5.15" in caught.value.hint


def test_a_refused_ring_buffer_is_not_a_missing_one() -> None:
    with pytest.raises(BpfError, match="ring buffer: Operation not permitted"):
        Datapath(without_probes(errno.EPERM), DatapathOptions(), datapath.OBJECT)


def without_probes(refusal: int = 0) -> Any:
    """Return a libbpf whose ring buffer probe needs no root, or fails with the errno `refusal`."""
    lib = libbpf.find()

    def call(attempted: str, name: str, *arguments: Any) -> Any:
        if name == "bpf_map_create" and refusal:
            raise BpfError(refusal, attempted)
        if name == "bpf_map_create":
            return os.open(os.devnull, os.O_RDONLY)
        return lib(attempted, name, *arguments)

    return call

"""What BTF says of a struct, an enum or a tracepoint; used by records.py and probes.py.

Source: Documentation/bpf/btf.rst of the kernel (6.1), include/uapi/linux/btf.h.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from pktexp.bpf.libbpf import Libbpf


class _Type(c.Structure):
    _fields_ = (("name", c.c_uint32), ("info", c.c_uint32), ("size", c.c_uint32))

    @property
    def members(self) -> int:
        return int(self.info) & 0xFFFF


class _Member(c.Structure):
    _fields_ = (("name", c.c_uint32), ("type", c.c_uint32), ("bits", c.c_uint32))


class _Enumerator(c.Structure):
    _fields_ = (("name", c.c_uint32), ("value", c.c_int32))


class Field(NamedTuple):
    """One member of a struct; offset and size in bytes."""

    name: str
    offset: int
    size: int


class Btf:
    """The BTF of an opened object, or of the running kernel (`kernel_btf`)."""

    def __init__(self, lib: Libbpf, handle: int) -> None:
        self._lib = lib
        self._handle = handle

    def struct(self, name: str) -> tuple[int, list[Field]]:
        """Size in bytes and fields of `struct name`; BpfError (ENOENT) if there is none."""
        head, address = self._type(name)
        members = (_Member * head.members).from_address(address)
        fields = [Field(self._name(m.name), m.bits // 8, self._size(m.type)) for m in members]
        return head.size, fields

    def enum(self, name: str) -> dict[str, int]:
        """Enumerators of `enum name`; BpfError (ENOENT) if there is none."""
        head, address = self._type(name)
        entries = (_Enumerator * head.members).from_address(address)
        return {self._name(e.name): int(e.value) for e in entries}

    def parameters(self, name: str) -> int:
        """How many a function takes to which `name` is a typedef of a pointer; BpfError if none."""
        pointer = self._by_number(self._type(name)[0].size)
        return self._by_number(pointer.size).members

    def _type(self, name: str) -> tuple[_Type, int]:
        """The type's header, and the address of what follows it."""
        attempted = f"find the type '{name}' in the BTF"
        number = self._lib(attempted, "btf__find_by_name", self._handle, name.encode())
        address = self._lib(attempted, "btf__type_by_id", self._handle, number)
        return _Type.from_address(address), address + c.sizeof(_Type)

    def _by_number(self, number: int) -> _Type:
        return _Type.from_address(
            self._lib("read a BTF type", "btf__type_by_id", self._handle, number)
        )

    def _name(self, offset: int) -> str:
        text: bytes = self._lib("read a BTF name", "btf__name_by_offset", self._handle, offset)
        return text.decode()

    def _size(self, number: int) -> int:
        return int(self._lib("size a BTF type", "btf__resolve_size", self._handle, number))


@contextmanager
def kernel_btf(lib: Libbpf) -> Iterator[Btf]:
    """The running kernel's BTF, several MiB while it is open; BpfError where there is none."""
    handle = lib("read the kernel's BTF", "btf__load_vmlinux_btf")
    try:
        yield Btf(lib, handle)
    finally:
        lib("let go of the kernel's BTF", "btf__free", handle)

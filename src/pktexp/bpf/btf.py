"""Read structs, enums and tracepoints from BTF, the type information of kernels and objects.

The format is described in Documentation/bpf/btf.rst of the kernel (6.1) and
include/uapi/linux/btf.h.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
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
    """A member of a struct; offset and size in bytes."""

    name: str
    offset: int
    size: int


class Btf:
    """The types of an opened BPF object, or of the running kernel (`kernel_btf`)."""

    def __init__(self, lib: Libbpf, handle: int) -> None:
        self._lib = lib
        self._handle = handle

    def struct(self, name: str) -> tuple[int, list[Field]]:
        """Return the size in bytes and the fields of a struct; BpfError (ENOENT) if missing."""
        head, address = self._type(name)
        members = (_Member * head.members).from_address(address)
        fields = [Field(self._name(m.name), m.bits // 8, self._size(m.type)) for m in members]
        return head.size, fields

    def enum(self, name: str) -> dict[str, int]:
        """Return the enumerators of an enum; BpfError (ENOENT) if missing."""
        head, address = self._type(name)
        entries = (_Enumerator * head.members).from_address(address)
        return {self._name(e.name): int(e.value) for e in entries}

    def parameters(self, name: str) -> int:
        """Return the number of parameters of a function.

        `name` is a typedef of a pointer to the function; BpfError if it is missing.
        """
        pointer = self._by_number(self._type(name)[0].size)
        return self._by_number(pointer.size).members

    def _type(self, name: str) -> tuple[_Type, int]:
        """Return a type's header, and the address of the data behind it."""
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


_opened: ContextVar[Btf | None] = ContextVar("opened", default=None)


@contextmanager
def kernel_btf(lib: Libbpf) -> Iterator[Btf]:
    """Open the running kernel's BTF, which uses several MiB while the context is open.

    Contexts inside this one share the copy: reading it takes 10 ms. Raises BpfError where the
    kernel has none.
    """
    if shared := _opened.get():
        yield shared
        return
    handle = lib("read the kernel's BTF", "btf__load_vmlinux_btf")
    btf = Btf(lib, handle)
    token = _opened.set(btf)
    try:
        yield btf
    finally:
        _opened.reset(token)
        lib("free the kernel's BTF", "btf__free", handle)

"""The kernel's BTF, read by a libbpf that counts its calls."""

from __future__ import annotations

from typing import Any, cast

from pktexp.bpf.btf import kernel_btf
from pktexp.bpf.libbpf import Libbpf


class CountingLibbpf:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, _attempted: str, name: str, *_arguments: Any) -> int:
        self.calls.append(name)
        return len(self.calls)


def test_nested_contexts_share_one_copy_until_the_outer_ends() -> None:
    lib = CountingLibbpf()
    fake = cast(Libbpf, lib)
    with kernel_btf(fake) as outer:
        with kernel_btf(fake) as inner:
            assert inner is outer
        assert lib.calls == ["btf__load_vmlinux_btf"]
    assert lib.calls == ["btf__load_vmlinux_btf", "btf__free"]
    with kernel_btf(fake) as later:
        assert later is not outer

"""The mirrors of packet.h compared with the BTF of the built object. Needs a libbpf, no root."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

from pktexp.bpf import layout, libbpf
from pktexp.bpf.btf import Btf
from pktexp.bpf.datapath import OBJECT
from pktexp.errors import PktexpError


@pytest.fixture
def btf() -> Iterator[Btf]:
    lib = libbpf.find()
    handle = lib("open", "bpf_object__open_file", os.fsencode(OBJECT), None)
    yield Btf(lib, lib("btf", "bpf_object__btf", handle))
    lib("close", "bpf_object__close", handle)


def test_mirror_and_object_agree_in_every_name_offset_size_and_number(btf: Btf) -> None:
    assert layout.mismatches(btf) == []


def test_moved_field_is_named(btf: Btf, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = np.dtype([("bytes", "u8"), ("packets", "u8")])
    monkeypatch.setitem(layout.STRUCTS, "tally", moved)
    found = layout.mismatches(btf)
    assert any(text.startswith("struct tally.packets:") for text in found)
    with pytest.raises(PktexpError, match=r"struct tally\.packets"):
        layout.check(btf)
    with pytest.raises(PktexpError, match=r"struct tally\.packets"):
        layout.check_structs(btf, {"tally": moved})


def test_forgotten_field_is_named(btf: Btf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(layout.STRUCTS, "tally", np.dtype([("packets", "u8")]))
    found = layout.mismatches(btf)
    assert any(text.startswith("struct tally.bytes:") for text in found)
    assert "struct tally: 16 bytes in the object, 8 here" in found


def test_changed_enumerator_is_named(btf: Btf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(layout.ENUMS, "link_type", {"LINK_ETHERNET": 7})
    found = layout.mismatches(btf)
    assert "enum link_type.LINK_ETHERNET: 0 in the object, 7 here" in found

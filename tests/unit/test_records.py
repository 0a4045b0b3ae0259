"""The numpy mirror against the object's BTF. Needs the built object and a libbpf, but no root."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

from pktexp.bpf import libbpf
from pktexp.bpf.btf import Btf
from pktexp.bpf.datapath import OBJECT
from pktexp.errors import PktexpError
from pktexp.packet import labels, records
from pktexp.packet.enums import PacketClass


@pytest.fixture
def btf() -> Iterator[Btf]:
    lib = libbpf.find()
    handle = lib("open", "bpf_object__open_file", os.fsencode(OBJECT), None)
    yield Btf(lib, lib("btf", "bpf_object__btf", handle))
    lib("close", "bpf_object__close", handle)


def test_mirror_and_object_agree_in_every_name_offset_size_and_number(btf: Btf) -> None:
    assert records.mismatches(btf) == []


def test_a_field_that_moved_is_named(btf: Btf, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = np.dtype([("bytes", "u8"), ("packets", "u8")])
    monkeypatch.setitem(records.STRUCTS, "tally", moved)
    found = records.mismatches(btf)
    assert any(text.startswith("struct tally.packets:") for text in found)
    with pytest.raises(PktexpError, match=r"struct tally\.packets"):
        records.check(btf)


def test_a_field_that_was_forgotten_is_named(btf: Btf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(records.STRUCTS, "tally", np.dtype([("packets", "u8")]))
    found = records.mismatches(btf)
    assert any(text.startswith("struct tally.bytes:") for text in found)
    assert "struct tally: 16 bytes in the object, 8 here" in found


def test_an_enumerator_that_changed_is_named(btf: Btf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(records.ENUMS, "link_type", {"LINK_ETHERNET": 7})
    found = records.mismatches(btf)
    assert "enum link_type.LINK_ETHERNET: 0 in the object, 7 here" in found


def test_the_flow_key_is_the_beginning_of_a_flow_record() -> None:
    for name in records.FLOW_KEY.names or ():
        if name != "_rest":
            assert records.FLOW_KEY.fields[name][:2] == records.FLOW_RECORD.fields[name][:2]  # type: ignore[index]


def test_a_record_of_the_ring_takes_64_bytes() -> None:
    assert records.RING_RECORD.itemsize == 64


def test_every_counter_has_a_label_of_its_own() -> None:
    assert sorted(labels.CLASSES) == list(range(PacketClass.COUNT))
    assert len(set(labels.CLASSES.values())) == PacketClass.COUNT

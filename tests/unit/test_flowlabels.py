"""What is remembered of flows' labels, and for how long."""

from __future__ import annotations

from pktexp.flows.keylabels import Names, Owners, Remembered
from pktexp.kubernetes.pods import NOBODY


class Maker:
    """Says which keys it was asked for."""

    def __init__(self) -> None:
        self.made: list[bytes] = []

    def __call__(self, raw: bytes, _names: Names, _owners: Owners) -> str:
        self.made.append(raw)
        return raw.decode()


def test_labels_are_made_once_while_their_flow_is_shown() -> None:
    make = Maker()
    remembered = Remembered(make)
    remembered([b"a", b"b"], {}, None)
    assert remembered([b"b", b"a"], {}, None) == {b"b": "b", b"a": "a"}
    assert make.made == [b"a", b"b"]
    remembered([b"b"], {}, None)
    remembered([b"a", b"b"], {}, None)
    assert make.made == [b"a", b"b", b"a"]


def test_labels_are_made_anew_when_pods_have_changed() -> None:
    make = Maker()
    remembered = Remembered(make)
    remembered([b"a"], {}, {})
    remembered([b"a"], {}, {b"1234": NOBODY})
    assert make.made == [b"a", b"a"]

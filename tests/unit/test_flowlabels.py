"""Labels of flows are remembered while the flow is shown and pods stay the same."""

from __future__ import annotations

from pktexp.flows.keylabels import Names, Owners, Remembered
from pktexp.kubernetes.pods import NO_POD


class Maker:
    """Notes the keys that it builds labels for."""

    def __init__(self) -> None:
        self.made: list[bytes] = []

    def __call__(self, raw: bytes, _names: Names, _owners: Owners) -> str:
        self.made.append(raw)
        return raw.decode()


def test_labels_are_built_once_while_their_flow_is_shown() -> None:
    make = Maker()
    remembered = Remembered(make)
    remembered([b"a", b"b"], {}, None)
    assert remembered([b"b", b"a"], {}, None) == {b"b": "b", b"a": "a"}
    assert make.made == [b"a", b"b"]
    remembered([b"b"], {}, None)
    remembered([b"a", b"b"], {}, None)
    assert make.made == [b"a", b"b", b"a"]


def test_labels_are_built_again_when_pods_change() -> None:
    make = Maker()
    remembered = Remembered(make)
    remembered([b"a"], {}, {})
    remembered([b"a"], {}, {b"1234": NO_POD})
    assert make.made == [b"a", b"a"]

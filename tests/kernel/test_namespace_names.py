"""When names of namespaces are asked for again; the folder is one of the test's own."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pktexp.netlink.links import LinkMonitor
from pktexp.netlink.namespacenames import NamespaceNames
from support.netns.namespace import Namespace

LONG_AGO = 1_000_000_000.0


class Folder:
    """Names for one namespace, which the other has `number` for."""

    def __init__(self, path: Path, pair: tuple[Namespace, Namespace]) -> None:
        self.path = path
        self.target = Path("/run/netns") / pair[0].name
        self.inside = pair[1]
        self.names = NamespaceNames(path)
        with self.inside.entered():
            monitor = LinkMonitor()
        monitor.close()
        (self.number,) = {x.link_netnsid for x in monitor.links.values()} - {None}

    def hold(self, *names: str, changed: float = LONG_AGO) -> None:
        for path in self.path.iterdir():
            path.unlink()
        for name in names:
            (self.path / name).symlink_to(self.target)
        os.utime(self.path, (changed, changed))

    def ask(self, *others: int) -> str | None:
        assert self.number is not None
        with self.inside.entered():
            return self.names.of({self.number, *others}).get(self.number)


@pytest.fixture
def folder(tmp_path: Path, pair: tuple[Namespace, Namespace]) -> Folder:
    return Folder(tmp_path, pair)


def test_names_are_kept_as_long_as_the_folder_and_the_ids_stay(folder: Folder) -> None:
    folder.hold("one")
    assert folder.ask() == "one"
    folder.hold("two")  # which the folder's time does not tell of
    assert folder.ask() == "one"


def test_a_change_of_the_folder_is_seen(folder: Folder) -> None:
    folder.hold("one")
    assert folder.ask() == "one"
    folder.hold("two", changed=LONG_AGO + 1)
    assert folder.ask() == "two"


def test_a_link_to_another_namespace_makes_it_look_again(folder: Folder) -> None:
    folder.hold("one")
    assert folder.ask() == "one"
    folder.hold("two")
    assert folder.ask(12345) == "two"


def test_two_changes_in_one_tick_of_the_clock_are_both_seen(folder: Folder) -> None:
    now = time.time()
    folder.hold(changed=now)
    assert folder.ask() is None
    folder.hold("one", changed=now)
    assert folder.ask() == "one"


def test_of_two_names_the_first_is_taken(folder: Folder) -> None:
    folder.hold("b", "a", "c")
    assert folder.ask() == "a"


def test_what_is_no_namespace_is_passed_over(folder: Folder) -> None:
    folder.hold("one")
    (folder.path / "a-file").touch()
    (folder.path / "broken").symlink_to("nowhere")
    assert folder.ask() == "one"


def test_a_name_that_is_no_utf_8_becomes_text(folder: Folder) -> None:
    folder.hold(os.fsdecode(b"caf\xff"))
    assert folder.ask() == "caf\\xff"


def test_without_such_a_folder_nothing_is_named(folder: Folder) -> None:
    folder.path.rmdir()
    assert folder.ask() is None
    folder.path.mkdir()

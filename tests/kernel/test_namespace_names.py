"""NamespaceNames: caching and odd files, with a folder of the test's own."""

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
    """A folder of names for one namespace of a pair; `number` is its id in the other one."""

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


def test_names_are_cached_while_folder_and_ids_stay(folder: Folder) -> None:
    folder.hold("one")
    assert folder.ask() == "one"
    folder.hold("two")  # with the same time of change
    assert folder.ask() == "one"


def test_changed_folder_is_read_again(folder: Folder) -> None:
    folder.hold("one")
    assert folder.ask() == "one"
    folder.hold("two", changed=LONG_AGO + 1)
    assert folder.ask() == "two"


def test_new_namespace_id_reads_the_folder_again(folder: Folder) -> None:
    folder.hold("one")
    assert folder.ask() == "one"
    folder.hold("two")
    assert folder.ask(12345) == "two"


def test_two_changes_in_one_clock_tick_are_both_seen(folder: Folder) -> None:
    now = time.time()
    folder.hold(changed=now)
    assert folder.ask() is None
    folder.hold("one", changed=now)
    assert folder.ask() == "one"


def test_first_of_several_names_is_shown(folder: Folder) -> None:
    folder.hold("b", "a", "c")
    assert folder.ask() == "a"


def test_files_without_a_namespace_are_skipped(folder: Folder) -> None:
    folder.hold("one")
    (folder.path / "a-file").touch()
    (folder.path / "broken").symlink_to("nowhere")
    assert folder.ask() == "one"


def test_invalid_utf_8_in_a_name_is_escaped(folder: Folder) -> None:
    folder.hold(os.fsdecode(b"caf\xff"))
    assert folder.ask() == "caf\\xff"


def test_missing_folder_gives_no_names(folder: Folder) -> None:
    folder.path.rmdir()
    assert folder.ask() is None
    folder.path.mkdir()

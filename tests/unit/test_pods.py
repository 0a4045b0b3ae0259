"""Which pod has an address, when several say so, and when there are too many."""

from __future__ import annotations

from pktexp.kubernetes.pods import Pod, PodTable

HERE, THERE = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
OLD = Pod("shop", "web-1", (HERE,), "2026-03-01T09:59:59Z")
NEW = Pod("shop", "web-2", (HERE,), "2026-03-01T10:00:00Z")


def test_of_two_pods_with_one_address_the_later_has_it_until_it_goes() -> None:
    for order in (("old", "new"), ("new", "old")):
        table = PodTable()
        for uid in order:
            table.put(uid, {"old": OLD, "new": NEW}[uid])
        assert table.by_address == {HERE: NEW}
        table.remove("new")
        assert table.by_address == {HERE: OLD}


def test_there_are_at_most_so_many_and_the_others_are_counted() -> None:
    table = PodTable(limit=1)
    table.put("old", OLD)
    table.put("x", Pod("shop", "x", (THERE,)))
    assert (table.by_address, table.count, table.refused) == ({HERE: OLD}, 1, 1)
    table.put("old", NEW)  # which is known, and may change
    assert (table.by_address, table.refused) == ({HERE: NEW}, 1)
    table.replace([("x", Pod("shop", "x", (THERE,))), ("new", NEW)])
    assert (list(table.by_address), table.count, table.refused) == ([THERE], 1, 2)


def test_what_is_told_again_changes_nothing() -> None:
    table = PodTable()
    table.replace([("old", OLD)])
    before = table.by_address
    table.put("old", OLD)
    table.remove("never was")
    table.replace([("old", OLD)])
    assert table.by_address is before

"""PodTable: shared addresses, the limit, and repeated updates."""

from __future__ import annotations

from pktexp.kubernetes.pods import Pod, PodTable

HERE, THERE = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
OLD = Pod("shop", "web-1", (HERE,), "2026-03-01T09:59:59Z")
NEW = Pod("shop", "web-2", (HERE,), "2026-03-01T10:00:00Z")


def test_later_pod_owns_a_shared_address_until_removed() -> None:
    for order in (("old", "new"), ("new", "old")):
        table = PodTable()
        for uid in order:
            table.put(uid, {"old": OLD, "new": NEW}[uid])
        assert table.by_address == {HERE: NEW}
        table.remove("new")
        assert table.by_address == {HERE: OLD}


def test_pods_beyond_the_limit_are_refused_and_counted() -> None:
    table = PodTable(limit=1)
    table.put("old", OLD)
    table.put("x", Pod("shop", "x", (THERE,)))
    assert (table.by_address, table.count, table.refused) == ({HERE: OLD}, 1, 1)
    table.put("old", NEW)  # a known pod may change at the limit
    assert (table.by_address, table.refused) == ({HERE: NEW}, 1)
    table.replace([("x", Pod("shop", "x", (THERE,))), ("new", NEW)])
    assert (list(table.by_address), table.count, table.refused) == ([THERE], 1, 2)


def test_repeated_updates_keep_the_same_index() -> None:
    table = PodTable()
    table.replace([("old", OLD)])
    before = table.by_address
    table.put("old", OLD)
    table.remove("never was")
    table.replace([("old", OLD)])
    assert table.by_address is before

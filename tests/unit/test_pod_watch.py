"""PodWatch against an API server: pages, events, bookmarks, and malformed events."""

from __future__ import annotations

import json
import time

import pytest

from pktexp.kubernetes import api
from pktexp.kubernetes.watch import PodWatch
from support.kubernetes import podshapes
from support.kubernetes.apiserver import ApiServer
from support.kubernetes.podshapes import NODE_ADDRESS, pod
from support.kubernetes.podwatch import DB, DB_NAMED, WEB, WEB_NAMED, names
from support.patience import until

NO_ADDRESS = pod("odd-1", "10.244.1")
NO_ADDRESS["metadata"]["resourceVersion"] = "1001"


async def test_watch_follows_added_changed_and_deleted_pods(
    server: ApiServer, following: PodWatch
) -> None:
    assert names(following) == WEB_NAMED
    server.put(pod("db-0", namespace="store", phase="Pending"))
    server.put(DB)
    await until(lambda: names(following) == WEB_NAMED | DB_NAMED)
    server.put(pod("db-0", "10.244.1.66", namespace="store"))
    await until(lambda: names(following) == WEB_NAMED | {"10.244.1.66": "store/db-0"})
    server.delete(WEB)
    await until(lambda: names(following) == {"10.244.1.66": "store/db-0"})
    assert (following.failures, following.malformed.count, following.lists) == (0, 0, 1)


async def test_every_event_resets_the_age(server: ApiServer, following: PodWatch) -> None:
    began = time.monotonic()
    server.do(server.store.bookmark)
    await until(lambda: following.age <= time.monotonic() - began)


async def test_pods_without_their_own_addresses_are_ignored(
    server: ApiServer, following: PodWatch
) -> None:
    server.put(pod("kube-proxy-x", host_network=True, namespace="kube-system"))
    server.put(pod("job-1", "10.244.1.9", phase="Succeeded"))
    server.put(pod("job-2", "10.244.1.10"), pod("job-2", "10.244.1.10", phase="Failed"))
    server.put(DB)
    await until(lambda: "10.244.1.6" in names(following))
    assert names(following) == WEB_NAMED | DB_NAMED
    assert NODE_ADDRESS not in names(following)
    assert following.pods.count == len({*WEB_NAMED.values(), *DB_NAMED.values()})


async def test_pods_on_the_host_s_network_are_known_by_uid(
    server: ApiServer, following: PodWatch
) -> None:
    server.put(pod("kube-proxy-x", host_network=True, namespace="kube-system"))

    def known() -> set[tuple[str, str]]:
        return {(x.namespace, x.name) for x in following.pods.by_uid.values()}

    await until(lambda: ("kube-system", "kube-proxy-x") in known())


async def test_pods_of_the_node_are_listed_in_pages(server: ApiServer, following: PodWatch) -> None:
    server.store.most = 2
    server.end_watches("broken")
    server.do(server.store.compact)
    server.put(*[pod(f"many-{i}", f"10.244.2.{i}") for i in range(6)])
    await until(lambda: len(names(following)) == 8)
    lists = [asked for asked in server.asked if "watch" not in asked]
    assert ["continue" in asked for asked in lists] == [False, False, True, True, True]
    assert {asked["limit"] for asked in lists} == {str(api.PAGE_SIZE)}


async def test_next_watch_begins_at_the_last_bookmark(
    server: ApiServer, following: PodWatch
) -> None:
    begun = int(server.asked[-1]["resourceVersion"])
    server.do(server.store.bookmark)
    server.end_watches("broken")
    await until(lambda: len(server.asked) == 3)
    assert int(server.asked[-1]["resourceVersion"]) == begun + 10
    assert (following.lists, names(following)) == (1, WEB_NAMED)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"no JSON",
        b"\xff\xfe",
        b'{"type":"MODIFIED"}',
        b'{"type":"MODIFIED","object":{}}',
        b'{"type":"MODIFIED","object":{"metadata":{"resourceVersion":"2","uid":7}}}',
        b'{"type":"MODIFIED","object":{"metadata":{"resourceVersion":"2"}}}',
        b'{"type":"RENAMED","object":{"metadata":{"resourceVersion":"2","uid":"x"}}}',
        json.dumps(podshapes.event("ADDED", NO_ADDRESS)).encode(),
    ],
)
async def test_malformed_event_is_counted_and_skipped(
    server: ApiServer, following: PodWatch, line: bytes
) -> None:
    server.write(line)
    server.put(DB)
    await until(lambda: names(following) == WEB_NAMED | DB_NAMED)
    assert (following.malformed.count, following.lists, following.failures) == (1, 1, 0)


async def test_malformed_events_are_logged_once(
    server: ApiServer, following: PodWatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.write(b"no JSON")
    server.write(b"no JSON")
    await until(lambda: following.malformed.count == 2)
    (line,) = caplog.messages
    assert line.startswith("kubernetes: skipped a malformed event or address: ")

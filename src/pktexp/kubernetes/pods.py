"""Which pod of this node has which address; filled by watch.py, read by the pages of a scrape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

LIMIT = 4096  # pods; a kubelet runs 110 of them unless told otherwise


class Pod(NamedTuple):
    """A pod with addresses of its own: not the node's, and not given back."""

    namespace: str
    name: str
    addresses: tuple[bytes, ...]
    """in network byte order, of four or 16 bytes"""
    started: str = ""
    """when the kubelet took it on, in UTC as RFC 3339 has it; sorts as text"""


NOBODY = Pod("", "", ())


class PodTable:
    """Changed on the event loop, read in any thread; `refused`, for want of room, only grows.

    `by_address` is never changed, but replaced as a whole: whoever remembers what it says compares
    it with the one that it was learnt from.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.by_address: Mapping[bytes, Pod] = {}
        self.refused = 0
        self._limit = limit
        self._pods: dict[str, Pod] = {}

    @property
    def count(self) -> int:
        """How many are known."""
        return len(self._pods)

    def replace(self, pods: Iterable[tuple[str, Pod]]) -> None:
        """Have these, by their uids, and no others."""
        self._pods, before = {}, self._pods
        for uid, pod in pods:
            self._enter(uid, pod)
        if self._pods != before:
            self._index()

    def put(self, uid: str, pod: Pod) -> None:
        """A pod has come or changed."""
        if self._pods.get(uid) != pod and self._enter(uid, pod):
            self._index()

    def remove(self, uid: str) -> None:
        """A pod has gone, or given its addresses back."""
        if self._pods.pop(uid, None):
            self._index()

    def _enter(self, uid: str, pod: Pod) -> bool:
        if uid not in self._pods and len(self._pods) >= self._limit:
            self.refused += 1
            return False
        self._pods[uid] = pod
        return True

    def _index(self) -> None:
        """Of two pods with one address the later has it: the other's end has not been told yet."""
        ordered = sorted(self._pods.values(), key=lambda pod: pod.started)
        self.by_address = {address: pod for pod in ordered for address in pod.addresses}

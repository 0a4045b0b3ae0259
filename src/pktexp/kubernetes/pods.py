"""Hold this node's pods by address, bounded in number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

LIMIT = 4096  # pods; a kubelet runs at most 110 by default


class Pod(NamedTuple):
    """A pod that has not ended; without addresses of its own if it is on the host's network."""

    namespace: str
    name: str
    addresses: tuple[bytes, ...]
    """of 4 or 16 bytes, in network byte order"""
    started: str = ""
    """when the kubelet accepted the pod, in UTC (RFC 3339); sorts as text"""


NO_POD = Pod("", "", ())


class PodTable:
    """Map addresses to pods. Changed on the event loop, read in any thread.

    Every change replaces `by_address` as a whole, so a reader that caches results compares it by
    identity. `refused` counts pods beyond the limit, and only grows.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.by_address: Mapping[bytes, Pod] = {}
        self.refused = 0
        self._limit = limit
        self._pods: dict[str, Pod] = {}

    @property
    def by_uid(self) -> Mapping[str, Pod]:
        """The pods by uid, not to be changed."""
        return self._pods

    @property
    def count(self) -> int:
        """Number of pods that have addresses of their own."""
        return sum(bool(pod.addresses) for pod in list(self._pods.values()))

    def replace(self, pods: Iterable[tuple[str, Pod]]) -> None:
        """Replace all pods with these pairs of uid and pod."""
        self._pods, before = {}, self._pods
        for uid, pod in pods:
            self._enter(uid, pod)
        if self._pods != before:
            self._index()

    def put(self, uid: str, pod: Pod) -> None:
        """Add or update a pod."""
        if self._pods.get(uid) != pod and self._enter(uid, pod):
            self._index()

    def remove(self, uid: str) -> None:
        """Remove a pod that was deleted or has ended; an unknown uid is ignored."""
        if self._pods.pop(uid, None):
            self._index()

    def _enter(self, uid: str, pod: Pod) -> bool:
        if uid not in self._pods and len(self._pods) >= self._limit:
            self.refused += 1
            return False
        self._pods[uid] = pod
        return True

    def _index(self) -> None:
        """Rebuild `by_address`; of two pods with one address the later one owns it.

        The earlier pod has released it, but the event of its end has not arrived yet.
        """
        ordered = sorted(self._pods.values(), key=lambda pod: pod.started)
        self.by_address = {address: pod for pod in ordered for address in pod.addresses}

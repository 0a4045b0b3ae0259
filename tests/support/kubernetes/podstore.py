"""The memory of an API server: its pods, and the events since a version.

It follows the Kubernetes API concepts (1.34).
"""

from __future__ import annotations

import json

from support.kubernetes import podshapes
from support.kubernetes.podshapes import Object

NOT_BOTH = podshapes.status(400, "BadRequest", "resourceVersion is forbidden with continue")
TOO_OLD = podshapes.status(410, "Expired", "The provided continue parameter is too old")


class PodStore:
    """Pods by version. `told`: lines of events, each with its version."""

    def __init__(self) -> None:
        self.told: list[tuple[int, bytes]] = []
        self.version = self.oldest = 1000
        self.most = 1000  # pods of a page, whatever limit is asked for
        self._pods: dict[str, Object] = {}

    def change(self, pod: Object, gone: bool = False) -> None:
        """Add, change or (`gone`) delete a pod."""
        uid = pod["metadata"]["uid"]
        kind = "DELETED" if gone else "MODIFIED" if uid in self._pods else "ADDED"
        self.version += 1
        pod["metadata"]["resourceVersion"] = str(self.version)
        self._pods[uid] = pod
        if gone:
            del self._pods[uid]
        # With characters as they are, which is how Go writes them.
        line = json.dumps(podshapes.event(kind, pod), ensure_ascii=False)
        self.told.append((self.version, line.encode()))

    def bookmark(self) -> None:
        """Raise the version, as changes of pods on other nodes do."""
        self.version += 10
        self.told.append((self.version, json.dumps(podshapes.bookmark(self.version)).encode()))

    def compact(self) -> None:
        """Forget all earlier events."""
        self.version += 10
        self.oldest = self.version

    def since(self, version: int) -> int:
        """Return the index in `told` of the first event after a version."""
        newer = (at for at, (told, _) in enumerate(self.told) if told > version)
        return next(newer, len(self.told))

    def page(self, asked: dict[str, str]) -> Object:
        """Return a list or its next page; a token holds the start and the version."""
        version, start = self.version, 0
        if token := asked.get("continue"):
            version, start = map(int, token.split("-"))
            if "resourceVersion" in asked:
                return NOT_BOTH
            if version < self.oldest:
                return TOO_OLD
        found = list(self._pods.values())[start:]
        size = min(int(asked["limit"]), self.most)
        more = f"{version}-{start + size}" if len(found) > size else ""
        return podshapes.pod_list(found[:size], version, more, max(len(found) - size, 0))

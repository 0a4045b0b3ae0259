"""Keeps the table of pods (pods.py) as the API server (api.py) has it: lists them, then watches.

The server may be away for as long as it likes: what was known last stays, and `age` tells how old
it is. Shown by metrics.py.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time

from pktexp.kubernetes import answers, api
from pktexp.kubernetes.answers import GoneError, RefusedError
from pktexp.kubernetes.api import Api
from pktexp.kubernetes.pods import Pod, PodTable

log = logging.getLogger(__name__)

FIRST, LONGEST = 1.0, 30.0  # seconds between attempts, at most; they double
WATCHED = (240, 300)  # seconds of one watch; drawn, so that nodes do not all ask at one time
TOLD = 2  # failures in a row that the log tells of: one alone is how servers restart
SHORTEST = 1.0  # seconds; a server that ends every watch at once is not asked on and on


class PodWatch:
    """`failures`, `lists` and `malformed` only grow. `follow` raises nothing."""

    def __init__(self, node: str, pods: PodTable) -> None:
        self.pods = pods
        self.failures = 0
        self.lists = 0
        self.malformed = 0
        self._node = node
        self._version = ""
        self._heard = -math.inf
        self._broken = 0  # attempts since the server last answered

    @property
    def age(self) -> float:
        """Seconds since the server last confirmed what is known; infinite if it never has."""
        return time.monotonic() - self._heard

    async def follow(self) -> None:
        """List and watch until cancelled."""
        delay = FIRST
        while True:
            started = time.monotonic()
            try:
                await self._session()
            except GoneError as error:
                self._version = ""
                log.debug("kubernetes: listing all pods again: %s", error)
            except Exception as error:
                self._failed(error)
            if time.monotonic() - started > LONGEST:
                delay = FIRST
            await asyncio.sleep(random.uniform(delay / 2, delay))
            delay = min(2 * delay, LONGEST)

    async def _session(self) -> None:
        """With one client, until something breaks."""
        async with api.connect(self._node) as connected:
            while True:
                if not self._version:
                    await self._list(connected)
                await self._watch(connected)

    async def _list(self, connected: Api) -> None:
        """All pods; they take the place of those that were known in one step."""
        told, found, as_of = 0, list[tuple[str, Pod]](), ""
        async for version, page in connected.pages():
            told, as_of = told + len(page), version
            found += [(pod.metadata.uid, named) for pod in page if (named := self._named(pod))]
        self.pods.replace(found)
        self._version = as_of
        self._heard = time.monotonic()
        if not self.lists:
            self._introduce(told)
        self.lists += 1

    async def _watch(self, connected: Api) -> None:
        """Changes since the last known version, until the server ends the watch as agreed on."""
        started = time.monotonic()
        async with connected.watching(self._version, random.randint(*WATCHED)) as lines:
            self._answers()
            async for line in lines:
                self._heard = time.monotonic()
                self._take(line)
        if time.monotonic() - started < SHORTEST:
            raise RefusedError("the watch ended as soon as it had begun")

    def _take(self, line: bytes) -> None:
        """One event; what is none is counted, and the next one taken."""
        try:
            kind, pod = answers.parse(line)
        except ValueError as error:
            self._unreadable(error)
            return
        self._version = pod.metadata.resource_version
        # A bookmark tells only the version, and is otherwise of no pod.
        named = self._named(pod) if kind != "DELETED" else None
        if named:
            self.pods.put(pod.metadata.uid, named)
        else:
            self.pods.remove(pod.metadata.uid)

    def _named(self, pod: answers.Pod) -> Pod | None:
        try:
            return pod.named()
        except ValueError as error:
            self._unreadable(error)
            return None

    def _introduce(self, told: int) -> None:
        log.info("kubernetes: %d pods on %s, %d with addresses", told, self._node, self.pods.count)
        if not told:
            log.warning("kubernetes: no pod is on node '%s': is --node-name right?", self._node)

    def _answers(self) -> None:
        self._heard = time.monotonic()
        if self._broken >= TOLD:
            log.info("kubernetes: the API server answers again")
        self._broken = 0

    def _failed(self, error: Exception) -> None:
        """Said once, until the server answers again."""
        self.failures += 1
        self._broken += 1
        if isinstance(error, RefusedError):
            self._version = ""  # which may be what it does not like
        if self._broken == TOLD:
            what = f"{type(error).__name__} {error}".strip()
            debug = log.isEnabledFor(logging.DEBUG)
            log.warning("kubernetes: pods are not followed: %s (tried again)", what, exc_info=debug)

    def _unreadable(self, error: ValueError) -> None:
        if not self.malformed:
            log.warning("kubernetes: not understood: %s (said once, counted always)", error)
        self.malformed += 1

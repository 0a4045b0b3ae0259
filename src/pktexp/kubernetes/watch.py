"""Keep the table of pods as the API server has it: list all pods once, then watch for changes.

While the server is unreachable the known pods stay, and `age` grows.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time

from pktexp.failures import FailureCounter, describe
from pktexp.kubernetes import answers, api
from pktexp.kubernetes.answers import GoneError, PodObject, RefusedError
from pktexp.kubernetes.api import PodApi
from pktexp.kubernetes.pods import Pod, PodTable

log = logging.getLogger(__name__)

FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0  # seconds, the upper bounds between attempts; they double
WATCH_SECONDS = (240, 300)  # of one watch; random, so that nodes do not all reconnect at once
LOGGED_FAILURE = 2  # in a row; a single failure is normal while a server restarts
SHORTEST_WATCH = 1.0  # seconds; a watch that ends sooner counts as failed, which delays the next


class PodWatch:
    """Keep `pods` up to date; `failures`, `lists` and `malformed` only grow."""

    def __init__(self, node: str, pods: PodTable) -> None:
        self.pods = pods
        self.failures = 0
        self.lists = 0
        self.malformed = FailureCounter(log, logging.WARNING, once=True)
        self._node = node
        self._version = ""
        self._confirmed = -math.inf
        self._failures_in_a_row = 0

    @property
    def age(self) -> float:
        """Seconds since the server last confirmed the pods; infinite before the first list."""
        return time.monotonic() - self._confirmed

    async def follow(self) -> None:
        """List and watch until cancelled; failures are counted and retried, never raised."""
        delay = FIRST_DELAY
        while True:
            started = time.monotonic()
            try:
                await self._session()
            except GoneError as error:
                self._version = ""
                log.debug("kubernetes: listing all pods again: %s", error)
            except Exception as error:
                self._failed(error)
            if time.monotonic() - started > LONGEST_DELAY:
                delay = FIRST_DELAY
            await asyncio.sleep(random.uniform(delay / 2, delay))
            delay = min(2 * delay, LONGEST_DELAY)

    async def _session(self) -> None:
        """List if necessary and watch again and again with one client, until a failure."""
        async with api.connect(self._node) as pod_api:
            while True:
                if not self._version:
                    await self._list(pod_api)
                await self._watch(pod_api)

    async def _list(self, pod_api: PodApi) -> None:
        """Replace all known pods in one step."""
        listed, pods, as_of = 0, list[tuple[str, Pod]](), ""
        async for version, page in pod_api.pages():
            listed, as_of = listed + len(page), version
            pods += [(item.metadata.uid, pod) for item in page if (pod := self._pod(item))]
        self.pods.replace(pods)
        self._version = as_of
        self._confirmed = time.monotonic()
        if not self.lists:
            self._log_first_list(listed)
        self.lists += 1

    async def _watch(self, pod_api: PodApi) -> None:
        """Apply the changes since the known version, until the agreed end of the watch."""
        started = time.monotonic()
        async with pod_api.watching(self._version, random.randint(*WATCH_SECONDS)) as lines:
            self._responded()
            async for line in lines:
                self._confirmed = time.monotonic()
                self._apply(line)
        if time.monotonic() - started < SHORTEST_WATCH:
            raise RefusedError("the server ended the watch at once")

    def _apply(self, line: bytes) -> None:
        """Apply one event; a malformed one is counted and skipped."""
        try:
            kind, item = answers.parse_event(line)
        except ValueError as error:
            self._malformed(error)
            return
        self._version = item.metadata.resource_version
        # A bookmark has only a version: it has no pod, and removes none.
        pod = self._pod(item) if kind != "DELETED" else None
        if pod:
            self.pods.put(item.metadata.uid, pod)
        else:
            self.pods.remove(item.metadata.uid)

    def _pod(self, item: PodObject) -> Pod | None:
        try:
            return item.pod()
        except ValueError as error:
            self._malformed(error)
            return None

    def _malformed(self, error: ValueError) -> None:
        self.malformed.note(error, "kubernetes: skipped a malformed event or address")

    def _log_first_list(self, listed: int) -> None:
        log.info(
            "kubernetes: %d pods on %s, %d with addresses", listed, self._node, self.pods.count
        )
        if not listed:
            log.warning("kubernetes: node '%s' has no pods: check --node-name", self._node)

    def _responded(self) -> None:
        self._confirmed = time.monotonic()
        if self._failures_in_a_row >= LOGGED_FAILURE:
            log.info("kubernetes: the API server responds again")
        self._failures_in_a_row = 0

    def _failed(self, error: Exception) -> None:
        """Count a failure; log the second in a row, and no more until the server responds."""
        self.failures += 1
        self._failures_in_a_row += 1
        if isinstance(error, RefusedError):
            self._version = ""  # in case the server refused because of the version
        if self._failures_in_a_row == LOGGED_FAILURE:
            debug = error if log.isEnabledFor(logging.DEBUG) else None
            log.warning(
                "kubernetes: failed to watch pods, keeping those known and retrying: %s",
                describe(error),
                exc_info=debug,
            )

"""Asks the API server for this node's pods, by lightkube; for watch.py. Answers are shapes.py's.

By the rules of the Kubernetes API concepts, "Efficient detection of changes" (1.34).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from lightkube import KubeConfig
from lightkube.config.client_adapter import ConnectionParams
from lightkube.core import decoders
from lightkube.core.generic_client import ALL_NS, BasicRequest, GenericAsyncClient

from pktexp.errors import PktexpError
from pktexp.kubernetes.answers import Pod, refusal

PATIENCE = 10.0  # seconds for an answer to begin, and beyond the end of a watch that was agreed on
PAGE = 100  # pods of one answer
FROM_CACHE = "0"  # as of any time: from the server's memory, where others would be read from etcd
SHOWN = 200  # characters of an answer that is not the server's own
HINT = (
    "in a pod: serviceAccountName, and no automountServiceAccountToken: false; elsewhere: "
    "KUBECONFIG names a file"
)

logging.getLogger("httpx2").setLevel(logging.WARNING)  # it has a line of level info a request


def credentials() -> GenericAsyncClient:
    """A client with what a pod's service account, KUBECONFIG or ~/.kube/config say now.

    PktexpError if that is not enough.
    """
    try:
        return GenericAsyncClient(ConnectionParams(httpx2.Timeout(PATIENCE)), KubeConfig.from_env())
    except Exception as error:
        what = f"{error} is not set" if isinstance(error, KeyError) else error
        message = f"no credentials for the Kubernetes API server: {what}"
        raise PktexpError(message, HINT) from error


def server() -> str:
    """Its URL, if there are credentials for it; else PktexpError."""
    config = credentials().config
    return config.cluster.server if config else ""


@asynccontextmanager
async def connect(node: str) -> AsyncIterator[Api]:
    """With credentials that are read anew, as they are replaced while pods run."""
    client = credentials()
    try:
        yield Api(client, node)
    finally:
        await client.close()


class Api:
    """One node's pods. Raises GoneError, RefusedError, httpx2.HTTPError and ValueError."""

    def __init__(self, client: GenericAsyncClient, node: str) -> None:
        self._client = client
        self._node = node

    async def pages(self) -> AsyncIterator[tuple[str, list[Pod]]]:
        """All of them, some at a time, with the version that a watch is to go on from."""
        request = self._request(resourceVersion=FROM_CACHE, limit=str(PAGE))
        more = True
        while more:
            response = await self._client.send(self._client.build_adapter_request(request))
            _check(response)
            more, version, found = self._client.handle_response("list", response, request)
            # The token for the next page has the version in it, and is refused beside another.
            request.params.pop("resourceVersion", None)
            yield version or "", found

    @asynccontextmanager
    async def watching(self, version: str, seconds: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Events since a version, as lines, for so long; cut off ones are left out."""
        request = self._request(
            True,
            resourceVersion=version,
            timeoutSeconds=str(seconds),
            allowWatchBookmarks="true",
        )
        # No event need come before the end, so this alone tells of a server that has vanished.
        request.timeout = httpx2.Timeout(PATIENCE, read=seconds + PATIENCE)
        response = await self._client.send(self._client.build_adapter_request(request), stream=True)
        try:
            if not response.is_success:
                await response.aread()
            _check(response)
            yield _lines(response)
        finally:
            await response.aclose()

    def _request(self, watch: bool = False, **parameters: str) -> BasicRequest:
        parameters["fieldSelector"] = f"spec.nodeName={self._node}"
        return self._client.prepare_request(
            "list", Pod, namespace=ALL_NS, watch=watch, params=parameters
        )


def _check(response: httpx2.Response) -> None:
    if not response.is_success:
        try:
            message = decoders.decode_status(response.content).message or ""
        except ValueError:
            message = response.text[:SHOWN]  # of something between us and the server
        raise refusal(response.status_code, message)


async def _lines(response: httpx2.Response) -> AsyncIterator[bytes]:
    """Whole ones; httpx2's own end also at other characters, which may be part of an event."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line

"""Request this node's pods from the API server, with lightkube as the client.

Lists and watches follow the Kubernetes API concepts, "Efficient detection of changes" (1.34).
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
from pktexp.kubernetes.answers import PodObject, status_error

RESPONSE_TIMEOUT = 10.0  # seconds until a response begins, and beyond the agreed end of a watch
PAGE_SIZE = 100  # pods of one response
FROM_CACHE = "0"  # any version: served from the server's memory, where others are read from etcd
SHOWN = 200  # characters of a response that is no Status
HINT = (
    "in a pod, set serviceAccountName and no 'automountServiceAccountToken: false'; elsewhere, set "
    "KUBECONFIG to a file"
)

logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs every request at level info


def load_client() -> GenericAsyncClient:
    """Return a client with the current credentials, read from their files.

    Those of a pod's service account, of KUBECONFIG, or of ~/.kube/config. Raises PktexpError if
    they are missing or invalid.
    """
    try:
        timeout = httpx2.Timeout(RESPONSE_TIMEOUT)
        return GenericAsyncClient(ConnectionParams(timeout), KubeConfig.from_env())
    except Exception as error:
        reason = f"{error} is not set" if isinstance(error, KeyError) else error
        message = f"no credentials for the Kubernetes API server: {reason}"
        raise PktexpError(message, HINT) from error


def server_url() -> str:
    """Return the API server's URL; PktexpError without credentials for it."""
    config = load_client().config
    return config.cluster.server if config else ""


@asynccontextmanager
async def connect(node: str) -> AsyncIterator[PodApi]:
    """Yield an API client with freshly read credentials, as they are replaced while pods run."""
    client = load_client()
    try:
        yield PodApi(client, node)
    finally:
        await client.close()


class PodApi:
    """One node's pods. Raises GoneError, RefusedError, httpx2.HTTPError and ValueError."""

    def __init__(self, client: GenericAsyncClient, node: str) -> None:
        self._client = client
        self._node = node

    async def pages(self) -> AsyncIterator[tuple[str, list[PodObject]]]:
        """Yield all pods in pages, with the version from which a watch continues."""
        request = self._request(resourceVersion=FROM_CACHE, limit=str(PAGE_SIZE))
        more = True
        while more:
            response = await self._client.send(self._client.build_adapter_request(request))
            _check(response)
            more, version, found = self._client.handle_response("list", response, request)
            # The continue token includes the version; the server refuses it with another one.
            request.params.pop("resourceVersion", None)
            yield version or "", found

    @asynccontextmanager
    async def watching(self, version: str, seconds: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the events since a version, as complete lines, for some seconds."""
        request = self._request(
            True,
            resourceVersion=version,
            timeoutSeconds=str(seconds),
            allowWatchBookmarks="true",
        )
        # A watch may have no event until its end, so only this timeout detects a vanished server.
        request.timeout = httpx2.Timeout(RESPONSE_TIMEOUT, read=seconds + RESPONSE_TIMEOUT)
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
            "list", PodObject, namespace=ALL_NS, watch=watch, params=parameters
        )


def _check(response: httpx2.Response) -> None:
    if not response.is_success:
        try:
            message = decoders.decode_status(response.content).message or ""
        except ValueError:
            message = response.text[:SHOWN]  # of a proxy in front of the server
        raise status_error(response.status_code, message)


async def _lines(response: httpx2.Response) -> AsyncIterator[bytes]:
    """Yield complete lines; httpx2's own also end at other characters, which events may contain."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line

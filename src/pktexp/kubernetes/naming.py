"""Start the watch of pods for `--kubernetes`.

The client is an optional dependency ("kubernetes" in pyproject.toml), so its importers are imported
inside the functions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pktexp.errors import PktexpError
from pktexp.kubernetes.pods import PodTable
from pktexp.settings import Settings
from pktexp.tasks import background

if TYPE_CHECKING:
    from pktexp.kubernetes.watch import PodWatch

NODE_HINT = (
    "set --node-name, or NODE_NAME by the downward API (valueFrom: fieldRef: fieldPath: "
    "spec.nodeName)"
)


def require(settings: Settings) -> str:
    """Return the API server's URL. Raises PktexpError without client, node name or credentials."""
    try:
        from pktexp.kubernetes import api  # noqa: PLC0415
    except ImportError as error:
        message = f"--kubernetes needs the package '{error.name}'"
        raise PktexpError(message, "pip install 'pktexp[kubernetes]'") from error
    if not settings.node_name:
        raise PktexpError("--kubernetes needs the name of this node", NODE_HINT)
    return api.server_url()


@asynccontextmanager
async def naming(settings: Settings) -> AsyncIterator[PodWatch | None]:
    """Watch this node's pods while the context is open; yield None without `--kubernetes`.

    Raises PktexpError if the watch cannot start.
    """
    if not settings.kubernetes:
        yield None
        return
    require(settings)
    from pktexp.kubernetes.watch import PodWatch  # noqa: PLC0415

    watch = PodWatch(settings.node_name, PodTable())
    async with background(watch.follow()):
        yield watch

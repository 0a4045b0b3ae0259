"""Makes what names pods for `--kubernetes`; for service.py, and for check.py, which only asks.

The client is an optional part (pyproject.toml), and imported only here.
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
    "--node-name, or NODE_NAME from the downward API: valueFrom: fieldRef: fieldPath: spec.nodeName"
)


def require(settings: Settings) -> str:
    """The API server's address; PktexpError without client, node's name, or credentials."""
    try:
        from pktexp.kubernetes import api  # noqa: PLC0415
    except ImportError as error:
        message = f"--kubernetes needs the package '{error.name}'"
        raise PktexpError(message, "pip install 'pktexp[kubernetes]'") from error
    if not settings.node_name:
        raise PktexpError("--kubernetes needs the name of this node", NODE_HINT)
    return api.server()


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

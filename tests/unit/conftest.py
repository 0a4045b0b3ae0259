"""Fixtures: an API server with pods, and a watch of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from pktexp.kubernetes import watch
from pktexp.kubernetes.pods import PodTable
from pktexp.kubernetes.watch import PodWatch
from pktexp.tasks import background
from support.kubernetes.apiserver import TOKEN, ApiServer, answering
from support.kubernetes.podshapes import NODE
from support.kubernetes.podwatch import WEB, listening, write_kubeconfig
from support.patience import until


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    return path


@pytest.fixture
def server(tmp_path: Path, token: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server named by KUBECONFIG, with short delays between attempts."""
    monkeypatch.setattr(watch, "FIRST_DELAY", 0.02)
    monkeypatch.setattr(watch, "LONGEST_DELAY", 0.2)
    with answering(listening()) as server:
        write_kubeconfig(tmp_path / "config", server.port, token)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        yield server


@pytest_asyncio.fixture
async def following(server: ApiServer) -> AsyncIterator[PodWatch]:
    """A running watch of a server that has WEB."""
    server.put(WEB)
    watching = PodWatch(NODE, PodTable())
    async with background(watching.follow()):
        await until(lambda: server.watching)
        yield watching

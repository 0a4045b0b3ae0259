"""PodWatch against an API server that breaks off, refuses, forgets versions, or is unreachable."""

from __future__ import annotations

import asyncio
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from pktexp.commands.check.findings import State
from pktexp.commands.check.run import check
from pktexp.errors import PktexpError
from pktexp.kubernetes import api, naming, watch
from pktexp.kubernetes.pods import PodTable
from pktexp.kubernetes.watch import PodWatch
from pktexp.tasks import background
from support.kubernetes import podshapes
from support.kubernetes.apiserver import ApiServer, answering
from support.kubernetes.podshapes import NODE
from support.kubernetes.podwatch import DB, DB_NAMED, WEB, WEB_NAMED, listening, names
from support.patience import until
from support.service.settings import settings


@pytest.mark.parametrize("as_event", [False, True])
async def test_pods_deleted_unseen_are_removed_after_a_410(
    server: ApiServer, following: PodWatch, as_event: bool
) -> None:
    server.gone_as_event = as_event
    server.end_watches("broken")
    server.delete(WEB)
    server.put(DB)
    server.do(server.store.compact)
    await until(lambda: names(following) == DB_NAMED)
    await until(lambda: server.watching)
    assert (following.lists, following.failures) == (2, 1)


async def test_broken_watch_resumes_at_its_version_without_a_log_line(
    server: ApiServer, following: PodWatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.put(DB)
    await until(lambda: names(following) == WEB_NAMED | DB_NAMED)
    server.end_watches("broken")
    server.delete(DB)
    await until(lambda: names(following) == WEB_NAMED)
    assert (following.lists, following.failures, following.malformed.count) == (1, 1, 0)
    assert not caplog.records


async def test_watch_that_ends_on_time_is_no_failure(
    server: ApiServer, following: PodWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SHORTEST_WATCH", 0.0)
    server.end_watches()
    await until(lambda: len(server.asked) == 3 and server.watching)
    server.put(DB)
    await until(lambda: names(following) == WEB_NAMED | DB_NAMED)
    assert (following.lists, following.failures) == (1, 0)


async def test_watch_that_ends_at_once_is_a_failure(server: ApiServer, following: PodWatch) -> None:
    server.end_watches()
    await until(lambda: following.failures == 1)


async def test_replaced_token_is_read_again(
    server: ApiServer, following: PodWatch, token: Path
) -> None:
    await asyncio.to_thread(token.write_text, "second-token")
    server.token = "second-token"
    server.end_watches("broken")
    server.put(DB)
    await until(lambda: names(following) == WEB_NAMED | DB_NAMED)
    assert following.failures == 1


@pytest.mark.parametrize(("code", "reason"), [(403, "Forbidden"), (500, "InternalError")])
async def test_refusals_keep_the_pods_and_end_with_a_list(
    server: ApiServer,
    following: PodWatch,
    caplog: pytest.LogCaptureFixture,
    code: int,
    reason: str,
) -> None:
    why = 'User "system:serviceaccount:x:y" cannot list resource "pods"'
    server.refusal = podshapes.status(code, reason, why)
    server.end_watches("broken")
    await until(lambda: following.failures >= 4)
    assert names(following) == WEB_NAMED
    (warning,) = [record.getMessage() for record in caplog.records]
    assert f"{code}: {why}" in warning
    server.delete(WEB)
    server.refusal = None
    await until(lambda: not names(following))
    assert following.lists == 2  # the server may have refused the known version


async def test_unreachable_server_keeps_the_pods_while_age_grows(
    server: ApiServer, following: PodWatch
) -> None:
    server.close()
    await until(lambda: following.failures >= 3)
    assert names(following) == WEB_NAMED
    age = following.age
    await until(lambda: following.age >= age + 0.05)
    with answering(listening(server.port)) as another:
        another.store.compact()  # it does not know the earlier versions
        another.put(DB)
        age = following.age
        await until(lambda: names(following) == DB_NAMED)
        assert following.age < age


async def test_server_that_starts_later_is_found(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", watch.__name__)
    server.close()
    watching = PodWatch(NODE, PodTable())
    async with background(watching.follow()):
        await until(lambda: watching.failures >= 3)
        assert watching.age == math.inf
        with answering(listening(server.port)) as late:
            late.put(WEB, DB)
            await until(lambda: names(watching) == WEB_NAMED | DB_NAMED)
            await until(lambda: "responds again" in caplog.text)
    said = [r.getMessage() for r in caplog.records if r.name == watch.__name__]
    assert len(said) == 3
    assert "2 pods on node-7, 2 with addresses" in said[1]


async def test_node_without_pods_logs_a_warning(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with background(PodWatch(NODE, PodTable()).follow()):
        await until(lambda: server.watching)
    assert "check --node-name" in caplog.text


def test_invalid_credentials_raise_one_error_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", str(path))
    for text in (None, "", "{", "current-context: x", '{"clusters": [], "contexts": []}'):
        if text is not None:
            path.write_text(text)
        with pytest.raises(PktexpError, match="no credentials") as caught:
            api.load_client()
        assert "KUBECONFIG" in caught.value.hint


def test_missing_node_name_raises_an_error_with_a_hint() -> None:
    with pytest.raises(PktexpError, match="name of this node") as caught:
        naming.require(settings(kubernetes=True))
    assert "spec.nodeName" in caught.value.hint


def test_check_reports_credentials_only_with_kubernetes(server: ApiServer) -> None:
    def rows(**wanted: Any) -> list[tuple[State, str]]:
        found = check(settings(**wanted)).findings
        return [
            (each.state, each.detail + each.remedy) for each in found if each.name == "pod names"
        ]

    assert rows() == []
    ((state, detail),) = rows(kubernetes=True, node_name=NODE)
    assert (state, detail) == (State.YES, f"credentials for http://127.0.0.1:{server.port}")
    ((state, detail),) = rows(kubernetes=True)
    assert state is State.NO
    assert "spec.nodeName" in detail


def test_missing_client_raises_an_error_with_its_install_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "pktexp.kubernetes.api")
    monkeypatch.delattr("pktexp.kubernetes.api")
    monkeypatch.setitem(sys.modules, "lightkube", None)
    with pytest.raises(PktexpError, match="needs the package 'lightkube'") as caught:
        naming.require(settings(kubernetes=True, node_name=NODE))
    assert "pktexp[kubernetes]" in caught.value.hint

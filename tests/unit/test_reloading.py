"""Reloading the operator's files, right and wrong ones."""

from __future__ import annotations

import time

import pytest
from prometheus_client import CollectorRegistry

from pktexp.commands.serve.reload import Reloader
from pktexp.errors import PktexpError
from pktexp.metrics import figures
from pktexp.metrics.exporter import ExporterCollector, Group


class Reads:
    """Counts how often a file was read; fails with `error`."""

    def __init__(self) -> None:
        self.count = 0
        self.error: Exception | None = None

    def __call__(self) -> None:
        self.count += 1
        if self.error:
            raise self.error


def value(reloader: Reloader, name: str, config: str) -> float | None:
    registry = CollectorRegistry()
    groups = [Group(figures.FILES, reloader.files, "config")]
    registry.register(ExporterCollector("", "", groups))
    return registry.get_sample_value(name, {"config": config})


def test_wrong_file_at_start_is_an_error() -> None:
    read = Reads()
    read.error = PktexpError("wrong", "mend it")
    with pytest.raises(PktexpError, match="wrong"):
        Reloader().add("web", read)


async def test_reload_continues_after_a_wrong_file(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reloader, bad, good = Reloader(), Reads(), Reads()
    reloader.add("bad", bad)
    reloader.add("good", good)
    started = time.time()
    bad.error = PktexpError("line 3: what is this", "mend it")
    await reloader.reload()
    assert (bad.count, good.count) == (2, 2)
    assert "line 3: what is this (mend it)" in caplog.text
    for config, successful, failures in (("bad", 0, 1), ("good", 1, 0)):
        assert value(reloader, "pktexp_config_last_reload_successful", config) == successful
        assert value(reloader, "pktexp_config_reload_failures_total", config) == failures
        name = "pktexp_config_last_reload_success_timestamp_seconds"
        assert ((value(reloader, name, config) or 0) >= started) == (config == "good")


async def test_mended_file_is_good_again() -> None:
    reloader, read = Reloader(), Reads()
    reloader.add("web", read)
    for read.error in (RuntimeError("no such luck"), None):
        await reloader.reload()
    assert value(reloader, "pktexp_config_last_reload_successful", "web") == 1
    assert value(reloader, "pktexp_config_reload_failures_total", "web") == 1

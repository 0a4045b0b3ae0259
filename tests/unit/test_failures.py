"""failures.py: failures are counted, logged in one line, and never raised."""

from __future__ import annotations

import logging

import pytest

from pktexp.errors import PktexpError
from pktexp.failures import FailureCounter

log = logging.getLogger("pktexp.test")


def test_failure_is_counted_and_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    failures = FailureCounter(log)
    with caplog.at_level(logging.INFO), failures.suppressed("draining %s failed", "it"):
        raise ValueError("odd")
    assert failures.count == 1
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "draining it failed: odd")
    assert record.exc_info is None


def test_debug_level_adds_the_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), FailureCounter(log).suppressed("failed"):
        raise ValueError("odd")
    assert "Traceback" in caplog.text


def test_hint_of_an_error_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    FailureCounter(log).note(PktexpError("no file", "create it"), "reload failed")
    assert caplog.messages == ["reload failed: no file (create it)"]


def test_error_without_text_is_named_by_its_type(caplog: pytest.LogCaptureFixture) -> None:
    FailureCounter(log, logging.WARNING).note(TimeoutError(), "asking failed")
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("WARNING", "asking failed: TimeoutError")
    ]


def test_repeated_failures_are_logged_once_and_counted_always(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures = FailureCounter(log, once=True)
    for _ in range(3):
        failures.note(OSError("busy"), "asking failed")
    assert failures.count == 3
    assert caplog.messages == ["asking failed: busy (logged once, counted always)"]


def test_other_kinds_of_exceptions_pass() -> None:
    failures = FailureCounter(log)
    with pytest.raises(KeyError), failures.suppressed("asking failed", only=OSError):
        raise KeyError("a mistake of ours")
    assert failures.count == 0


def test_body_that_succeeds_counts_nothing() -> None:
    failures = FailureCounter(log)
    with failures.suppressed("failed"):
        pass
    assert failures.count == 0

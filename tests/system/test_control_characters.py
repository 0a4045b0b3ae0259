"""Control characters in a real interface's name and alias are escaped for terminals."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from support.netns.namespace import Namespace, making
from support.patience import finished, running

PKTEXP = (sys.executable, "-m", "pktexp")
NAME, SHOWN = "a\x1b]0;b", r"a\x1b]0;b"  # the start of a sequence that sets a terminal's title
ALIAS, SHOWN_ALIAS = "one\ntwo\x1b[2J", r"one\ntwo\x1b[2J"
ONLY_THESE = ("--interfaces", "a*", "--interfaces", "c*")
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d .* pktexp\.[a-z.]+: ")


@pytest.fixture
def there() -> Iterator[Namespace]:
    """A namespace with a veth of that name and alias."""
    with making() as make:
        namespace = make()
        namespace.ip("link", "add", "name", NAME, "type", "veth", "peer", "name", "peer")
        namespace.ip("link", "set", "dev", NAME, "alias", ALIAS)
        for name in (NAME, "peer"):
            namespace.ip("link", "set", "dev", name, "up")
        yield namespace


def printable(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def until(process: subprocess.Popen[str], part: str) -> list[str]:
    """Return the log lines up to the first with this part."""
    assert process.stderr
    lines: list[str] = []
    while not (lines and part in lines[-1]):
        lines.append(process.stderr.readline().rstrip("\n"))
        assert process.poll() is None, lines
    return lines


@pytest.mark.timeout(90)
@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("level", ["info", "debug"])
def test_log_escapes_an_interface_name(there: Namespace, form: str, level: str) -> None:
    serve = (*PKTEXP, "serve", "--port", "0", *ONLY_THESE, "--log-format", form)
    command = there.command(*serve, "--log-level", level)
    with running(command, stderr=subprocess.PIPE) as process:
        lines = until(process, "ready: ")
        there.ip("link", "set", "dev", NAME, "name", "c\x1b[1m")
        lines += until(process, "now named")
        there.ip("link", "delete", "dev", "c\x1b[1m")
        lines += until(process, "gone")
        process.terminate()
        process.wait(30)
    assert all(line.isprintable() for line in lines)
    if form == "text":
        assert all(LOG_LINE.match(line) for line in lines)
        text = "\n".join(lines)
        assert f"{SHOWN}: counting at" in text
        assert r"c\x1b[1m: gone" in text
    else:
        messages = [json.loads(line)["message"] for line in lines]
        assert any(message.startswith(f"{NAME}: counting at") for message in messages)
        assert "c\x1b[1m: gone" in messages


def test_top_once_has_one_row_per_interface(there: Namespace) -> None:
    done = finished(there.command(*PKTEXP, "top", "--once", *ONLY_THESE), capture_output=True)
    assert printable(done.stdout)
    (row,) = (line for line in done.stdout.splitlines() if SHOWN in line)
    assert SHOWN_ALIAS in row
    assert printable(done.stderr)


def test_check_has_one_row_per_interface(there: Namespace) -> None:
    done = finished(
        there.command(*PKTEXP, "check", "--port", "0", *ONLY_THESE), capture_output=True
    )
    assert printable(done.stdout)
    assert printable(done.stderr)
    (row,) = (line for line in done.stdout.splitlines() if SHOWN in line)
    assert "veth" in row


@pytest.mark.parametrize("command", ["serve", "check"])
def test_errors_are_one_printable_line(there: Namespace, command: str) -> None:
    options = ("--port", "0", "--listen", f"fe80::1%{NAME}\n2026-01-01 forged")
    done = finished(there.command(*PKTEXP, command, *options), capture_output=True)
    assert done.returncode != 0
    assert printable(done.stdout + done.stderr)
    assert not re.search("^2026-01-01 forged", done.stdout + done.stderr, re.MULTILINE)

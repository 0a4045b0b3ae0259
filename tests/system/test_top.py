"""`pktexp top` in a pseudo-terminal with real traffic, from a service and without one."""

from __future__ import annotations

import json
import subprocess
import sys
import termios
from collections.abc import Iterator

import pytest

from support.kernel.attached import attached
from support.netns.namespace import Namespace, connect
from support.patience import finished, wait_for
from support.screens.terminal import Terminal, terminal
from support.service.api import frames
from support.service.process import Service, select, serving

TOP = (sys.executable, "-m", "pktexp", "top")
TALKER = "198.18.0.7"
HOSTILE = "\x1b]0;owned"  # sets a terminal's title


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A service that received datagrams from thirty addresses, most of them from TALKER."""
    a, b = Namespace(), Namespace()
    try:
        connect(a, b, "va", "vb")
        b.ip("link", "add", "idle", "type", "veth", "peer", "idle2")
        b.ip("link", "set", "idle2", "alias", HOSTILE)
        with serving(b, "--interfaces", "vb", "--interfaces", "idle*") as service:
            service.wait_until_attached("vb")
            sent = frames(30)
            a.send("va", sent + [frame for frame in sent if b"\xc6\x12\x00\x07" in frame] * 50)
            yield service
    finally:
        a.remove()
        b.remove()


def top(service: Service, *options: str) -> list[str]:
    return service.namespace.command(*TOP, "--url", service.url, *options)


@pytest.fixture(params=[(80, 24), (200, 60)], ids="{0[0]}x{0[1]}".format)
def shown(service: Service, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    with terminal(top(service), *request.param) as shown:
        shown.wait("live", TALKER)
        yield shown


def order(shown: Terminal) -> list[str]:
    """Return the sources of the talkers, from top to bottom."""
    return [word for word in shown.text.split() if word.startswith("198.18.")]


def names(shown: Terminal) -> list[str]:
    """Return the interfaces, from top to bottom."""
    first = [line.split()[0] for line in shown.text.splitlines() if line.strip()]
    return [name for name in first if name in ("vb", "idle", "idle2")]


def find(shown: Terminal, text: str) -> None:
    shown.press("/")
    shown.wait("Enter filters the table")
    shown.press(f"{text}\r")


def test_talkers_are_sorted_by_the_chosen_column(shown: Terminal) -> None:
    shown.press("ss")
    shown.wait("talkers by bytes", TALKER)
    wait_for(lambda: order(shown)[0] == TALKER)
    assert len(order(shown)) > 5


def test_interfaces_are_sorted_and_filtered(shown: Terminal) -> None:
    shown.press("\t")
    shown.press("s")
    shown.wait("interfaces by name")
    wait_for(lambda: names(shown) == ["idle", "idle2", "vb"])
    find(shown, "idle")
    shown.wait("with 'idle'")
    wait_for(lambda: names(shown) == ["idle", "idle2"])
    shown.press("\x1b")
    wait_for(lambda: names(shown) == ["idle", "idle2", "vb"])


def test_talkers_are_filtered_by_text_and_by_interface(shown: Terminal) -> None:
    find(shown, TALKER)
    shown.wait(f"with '{TALKER}'")
    wait_for(lambda: set(order(shown)) == {TALKER})
    shown.press("\x1b")
    wait_for(lambda: len(order(shown)) > 5)
    shown.press("d")
    shown.wait("ingress")
    shown.press("d")
    wait_for(lambda: not order(shown))  # nothing was sent


def test_talkers_are_counted_once_or_at_every_interface(shown: Terminal) -> None:
    assert "at every interface" not in shown.text
    shown.press("c")
    shown.wait("at every interface")
    shown.press("c")
    wait_for(lambda: "at every interface" not in shown.text)


def test_the_largest_talker_stays_visible_when_it_changes(
    pair: tuple[Namespace, Namespace],
) -> None:
    a, b = pair
    with serving(b, "--interfaces", "vb") as service:
        service.wait_until_attached("vb")
        sent = frames(60)
        a.send("va", sent[:1] * 50 + sent)
        with terminal(top(service), 80, 24) as shown:
            shown.press("ss")
            shown.wait("talkers by bytes")
            wait_for(lambda: len(order(shown)) > 5)
            first = order(shown)[0]
            a.send("va", sent[1:] * 100)
            wait_for(lambda: len(order(shown)) > 5 and first not in order(shown))


def test_quitting_restores_the_terminal(shown: Terminal) -> None:
    shown.press("q")
    assert shown.end() == 0
    assert termios.tcgetattr(shown.slave) == shown.before
    assert b"\x1b[?1049l" in shown.written  # the screen that was there before


def test_help_opens_and_closes_and_pause_stops_the_stream(
    shown: Terminal, service: Service
) -> None:
    shown.press("?")
    shown.wait("switch between the tables")
    shown.press("?")
    wait_for(lambda: "switch between" not in shown.text)
    shown.press(" ")
    shown.wait("paused")
    status = json.loads(service.get("api/v1/status").read())
    wait_for(lambda: json.loads(service.get("api/v1/status").read())["stream"]["readers"] == 0)
    assert status["ready"]
    shown.press(" ")
    shown.wait("live")


def test_wider_terminals_show_more_columns(service: Service) -> None:
    with terminal(top(service), 80, 24) as shown:
        shown.wait("live", TALKER)
        assert "packets, total" not in shown.text
        shown.resize(160, 40)
        shown.wait("packets, total", "counted")
        shown.resize(80, 24)
        wait_for(lambda: "packets, total" not in shown.text)


def test_control_characters_in_an_alias_are_escaped(service: Service) -> None:
    escaped = "\\x1b]0;owned"
    with terminal(top(service), 200, 60) as shown:
        shown.wait("live", escaped)
        assert HOSTILE.encode() not in shown.written
    assert escaped in run(top(service, "--once")).stdout


def test_only_ascii_is_written_without_utf_8(service: Service) -> None:
    plain = {"LANG": "C", "LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    with terminal(top(service), 200, 60, **plain) as shown:
        shown.wait("live", TALKER)
        shown.press("ss")
        shown.wait("talkers by bytes")
        wait_for(lambda: "####" in shown.line(TALKER))
        assert shown.text.isascii()


def test_without_url_it_counts_itself_and_detaches_at_the_end(
    pair: tuple[Namespace, Namespace],
) -> None:
    a, b = pair
    with terminal(b.command(*TOP, "--interfaces", "vb"), 120, 30) as shown:
        shown.wait("this machine: live", "tcx-ingress")
        a.send("va", frames(3) * 20)
        shown.wait(TALKER[:-1] + "1")
        assert attached(b, "vb")
        shown.press("q")
        assert shown.end() == 0
    assert attached(b, "vb") == {}


@pytest.mark.parametrize("number", ["TERM", "HUP"])
def test_a_signal_quits_and_detaches(pair: tuple[Namespace, Namespace], number: str) -> None:
    with terminal(pair[1].command(*TOP, "--interfaces", "vb")) as shown:
        shown.wait("this machine: live")
        finished(["kill", f"-{number}", str(shown.process.pid)], check=True)
        assert shown.end() == 0
    assert attached(pair[1], "vb") == {}


def test_it_reconnects_to_a_restarted_service(pair: tuple[Namespace, Namespace]) -> None:
    with serving(pair[1], "--interfaces", "vb") as service:
        port = service.url.rstrip("/").rsplit(":", 1)[1]
        with terminal(top(service), 200, 30) as shown:
            shown.wait("live", "vb")
            service.stop()
            shown.wait("retrying")
            with serving(pair[1], "--interfaces", "vb", "--port", port):
                shown.wait(": live")
                shown.press("q")
                assert shown.end() == 0


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return finished(command, capture_output=True)


def test_json_has_the_numbers_of_the_metrics(service: Service) -> None:
    done = run(top(service, "--once", "--json"))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["flows"]["total"]["bytes_per_second"] is not None
    page = service.page()
    for flow in document["flows"]["flows"]:
        labels = {name: flow[name] for name in ("interface", "protocol", "source", "dest")}
        (packets,) = select(page, "pktexp_flow_packets_total", **labels).values()
        assert packets == flow["packets"] == flow["forward"]["packets"]  # nothing was answered
    assert {row["name"] for row in document["interfaces"]} == {"vb", "idle", "idle2"}


def test_once_prints_an_ascii_table(service: Service) -> None:
    done = run(top(service, "--once"))
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    (row,) = [line for line in lines if TALKER in line]
    assert row[row.index(TALKER) + 1] == "192.0.2.2"
    assert "51" in row
    assert done.stdout.isascii()


@pytest.mark.parametrize(
    ("options", "status", "parts"),
    [
        ((), 1, ("must be a terminal", "--once")),
        (
            ("--once", "--url", "http://127.0.0.1:1/"),
            1,
            ("127.0.0.1:1", "check that pktexp serves"),
        ),
        (("--once", "--url", "localhost:8080"), 2, ("is not a URL such as",)),
        (("--json",), 2, ("--json needs --once",)),
        (("--once", "--url", "https://localhost/", "--ca-file", "/none"), 1, ("/none", "PEM")),
    ],
)
def test_a_wrong_option_is_one_line_of_error(
    service: Service, options: tuple[str, ...], status: int, parts: tuple[str, ...]
) -> None:
    done = run(service.namespace.command(*TOP, *options))
    assert done.returncode == status
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert all(part in line for part in parts), line

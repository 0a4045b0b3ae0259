"""Starts that fail or are ended halfway: one line, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from support import patience
from support.environments.memorylimit import limited
from support.kernel.attached import attached
from support.kernel.bpffs import mounted, pinned
from support.netns.namespace import Namespace
from support.patience import wait_for
from support.service.faulty import failing_at
from support.service.process import Service, serving, total

Pair = tuple[Namespace, Namespace]
# Without these there is nothing to serve.
NEEDED = (
    *("bpf_object__open_file", "bpf_object__btf", "btf__find_by_name", "btf__type_by_id"),
    *("bpf_map__set_max_entries", "bpf_map__initial_value", "bpf_object__find_map_by_name"),
    *("bpf_object__find_program_by_name", "bpf_program__set_log_buf", "bpf_object__load"),
    *("bpf_map__fd", "bpf_program__fd", "bpf_map_create", "bpf_map_update_elem"),
    *("bpf_obj_pin", "btf__resolve_size", "btf__name_by_offset"),
)
# Without these it does what it can.
OPTIONAL = ("bpf_link_create", "bpf_raw_tracepoint_open", "bpf_map__reuse_fd", "bpf_prog_query")
SERVE = ("-m", "pktexp", "serve", "--port", "0", "--interfaces", "vb")
STAGES = [*(0.02 * n**2 for n in range(1, 11)), None]  # seconds after the start; None: ready


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "bpf") as folder:
        yield folder / "pktexp"


def started(namespace: Namespace, command: Sequence[str]) -> subprocess.Popen[str]:
    """Whoever runs tests in the background has SIGINT ignored; a service is to hear it."""
    hearing = ("env", "--default-signal=INT", *command)
    return subprocess.Popen(namespace.command(*hearing), stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    status, errors = patience.ended(process)
    return status, errors.splitlines()


def test_failure_of_a_required_call_is_one_line_and_leaves_nothing(
    pair: Pair, tmp_path: Path, root: Path
) -> None:
    for name in NEEDED:
        pin = ("--pin", str(root)) if name == "bpf_obj_pin" else ()
        command = (failing_at(tmp_path, name), *SERVE, "--log-level", "error", *pin)
        status, said = ended(started(pair[1], command))
        assert status == 1, (name, said)
        (line,) = said
        assert line.startswith("pktexp: error: "), line
        assert "Cannot allocate memory" in line
        assert line.endswith(")"), f"no hint: {line}"
        assert attached(pair[1], "vb") == {}


def test_failed_pin_ends_the_start_or_is_skipped(pair: Pair, tmp_path: Path, root: Path) -> None:
    """Seven maps come first, then two links, the counters, and what counts drops."""
    python = failing_at(tmp_path, "bpf_obj_pin", after=6)
    status, said = ended(started(pair[1], (python, *SERVE, "--pin", str(root))))
    assert status == 1
    assert "goes on" not in "".join(said)
    assert pinned(root) == []
    python = failing_at(tmp_path, "bpf_obj_pin", after=9)
    options = ("--interfaces", "vb", "--pin", str(root))
    with serving(pair[1], *options, python=python) as service:
        assert total(service.page(), "pktexp_interface_attach_failures_total") == 1
        said = [
            line for line in service.messages("WARNING") if ": pin /" in line or "(pin /" in line
        ]
        assert [line.split(":")[0] for line in said] == [
            "vb",
            "dropped packets are not counted",
            "retransmitted segments are not counted",
        ]
        assert attached(pair[1], "vb") == {}
    options = ("--interfaces", "vb", "--pin", str(root.with_name("other")))
    python = failing_at(tmp_path, "bpf_obj_pin", after=8, count=1)
    with serving(pair[1], *options, python=python) as service:
        page = service.page()
        assert attached(pair[1], "vb") == {"tcx-ingress": 1}
        assert total(page, "pktexp_interface_attach_failures_total") == 1
        assert len([line for line in service.messages("WARNING") if ": pin /" in line]) == 1
    assert attached(pair[1], "vb") == {"tcx-ingress": 1}


@pytest.mark.parametrize("name", OPTIONAL)
def test_serve_runs_without_optional_calls(pair: Pair, tmp_path: Path, name: str) -> None:
    python = failing_at(tmp_path, name)
    with serving(pair[1], "--interfaces", "vb", python=python) as service:
        page = service.page()
        missing = "pktexp_dropped_packets_total" not in {key for key, _ in page}
        refused = total(page, "pktexp_interface_attach_failures_total")
        clsact = "clsact" in " ".join(service.messages())
        assert missing or refused or clsact, "nobody was told"


def test_failure_of_the_second_ring_or_link_is_handled(pair: Pair, tmp_path: Path) -> None:
    python = failing_at(tmp_path, "bpf_map_create", after=1)
    options = ("--log-level", "error", "--workers", "2")
    status, said = ended(started(pair[1], (python, *SERVE, *options)))
    assert (status, len(said)) == (1, 1)
    python = failing_at(tmp_path, "bpf_link_create", after=1)
    with serving(pair[1], "--interfaces", "vb", python=python) as service:
        assert attached(pair[1], "vb") == {"tcx-ingress": 1}
        assert total(service.page(), "pktexp_interface_attach_failures_total") == 1
    assert attached(pair[1], "vb") == {}


@pytest.mark.parametrize("name", ["TERM", "INT"])
def test_signal_during_the_start_leaves_nothing_attached(pair: Pair, name: str) -> None:
    for stage in STAGES:
        process = started(pair[1], (sys.executable, *SERVE))
        if stage:
            time.sleep(stage)
        else:
            patience.wait_for_output(process, "ready: ")
        os.kill(process.pid, getattr(signal, f"SIG{name}"))
        status, said = ended(process)
        # Before it has begun to listen to signals Python ends by them.
        assert status in (0, -15, -2, 1, 130), said
        assert attached(pair[1], "vb") == {}
    assert status == 0  # as it was ready


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=str)
def test_repeated_signals_do_not_disturb_the_end(pair: Pair, number: signal.Signals) -> None:
    service = Service(pair[1], "--interfaces", "vb")
    service.wait_until_attached("vb")
    service.process.terminate()

    def gone() -> bool:
        service.process.send_signal(number)
        return service.process.poll() is not None

    wait_for(gone, pause=0.0001)
    assert service.stop() == 0
    assert attached(pair[1], "vb") == {}


def test_limit_of_open_files_leaves_interfaces_out_with_a_warning(pair: Pair) -> None:
    _, b = pair
    for number in range(20):
        b.ip("link", "add", f"w{number}", "type", "veth", "peer", f"wp{number}")
    with serving(b, prefix=("prlimit", "--nofile=64:64")) as service:

        def refusals() -> list[str]:
            return [line for line in service.messages("WARNING") if "gress not counted: " in line]

        page = service.page_when(
            lambda page: total(page, "pktexp_interface_attach_failures_total") == len(refusals())
        )
        assert total(page, "pktexp_interface_attach_failures_total") > 20
        assert all("Too many open files" in line for line in refusals())
        for number in range(20):
            b.ip("link", "delete", f"w{number}")
        assert service.page()


def test_too_little_memory_for_maps_is_an_error_with_a_hint(pair: Pair) -> None:
    with limited(150 << 20) as prefix:
        options = ("--flow-cache", "256MiB", "--log-level", "error")
        command = pair[1].command(sys.executable, *SERVE, *options)
        status, said = ended(
            subprocess.Popen((*prefix, *command), stderr=subprocess.PIPE, text=True)
        )
    assert status == 1
    (line,) = said
    assert "Cannot allocate memory (ask for less kernel memory: a smaller --flow-cache" in line
    assert attached(pair[1], "vb") == {}


def test_serve_continues_when_logs_cannot_be_written(pair: Pair) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123  # a device
        command = pair[1].command(sys.executable, *SERVE[:4], "9123", *SERVE[5:])
        process = subprocess.Popen(command, stderr=full, text=True)
        try:
            service = Service.__new__(Service)
            service.namespace, service.url = pair[1], "http://127.0.0.1:9123/"

            def alive() -> bool:
                try:
                    return bool(total(service.page(), "pktexp_interface_attached"))
                except OSError:
                    return False

            wait_for(alive)
            pair[1].ip("link", "set", "vb", "alias", "one more line")
            assert process.poll() is None
        finally:
            process.terminate()
            assert patience.ended(process)[0] == 0

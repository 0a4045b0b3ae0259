"""The command line: precedence of flags and variables, and errors of one line with a hint."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pktexp import __version__
from pktexp.bpf.ingressrules import IngressMode, IngressRule
from pktexp.bpf.libbpf import BpfError, VerifierError
from pktexp.commands import main, options
from pktexp.errors import PktexpError
from pktexp.packet.enums import Tunnel
from pktexp.settings import EventMode, FlowMode, Settings
from support.patience import finished

DEBUG = "--log-level debug "


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["pktexp", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return int(ended.value.code or 0)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Return a list that receives the settings of each start; the service ends immediately."""
    seen: list[Settings] = []

    async def service(settings: Settings) -> None:
        seen.append(settings)

    monkeypatch.setattr(main, "run_service", service)
    for name in list(os.environ):
        if name.startswith(("PKTEXP_", "PE_")):
            monkeypatch.delenv(name)
    return seen


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Any:
    def fail_with(error: BaseException) -> None:
        async def service(_: Settings) -> None:
            raise error

        monkeypatch.setattr(main, "run_service", service)

    return fail_with


def test_options_have_their_documented_defaults(
    monkeypatch: pytest.MonkeyPatch, started: list[Settings]
) -> None:
    assert run_main(monkeypatch, "serve") == 0
    assert started == [
        Settings(
            port=8080,
            listen="",
            interfaces=(),
            exclude_interfaces=(),
            max_interfaces=4096,
            ingress=(IngressRule(IngressMode.AUTO),),
            egress=True,
            decap=frozenset(),
            flows=FlowMode.HOSTS,
            max_flows=1000,
            events=EventMode.FLOW,
            flow_cache=None,
            workers=1,
            ring_size=8 << 20,
            cgroups=True,
            max_cgroups=256,
            networks=None,
            web_config=None,
            telemetry_path="/metrics",
            max_connections=512,
            legacy_metrics=True,
            pin=None,
            kubernetes=False,
            node_name="",
        )
    ]


@pytest.mark.parametrize(
    ("flag", "environment", "expected"),
    [
        (None, {}, 8080),
        (None, {"PE_PORT": "9001"}, 9001),
        (None, {"PE_PORT": "9001", "PKTEXP_PORT": "9002"}, 9002),
        ("9003", {"PE_PORT": "9001", "PKTEXP_PORT": "9002"}, 9003),
    ],
)
def test_flags_override_pktexp_variables_override_pe_variables(
    monkeypatch: pytest.MonkeyPatch,
    started: list[Settings],
    flag: str | None,
    environment: dict[str, str],
    expected: int,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run_main(monkeypatch, "serve", *(["--port", flag] if flag else []))
    assert started[0].port == expected


def test_every_option_has_a_variable(
    monkeypatch: pytest.MonkeyPatch, started: list[Settings]
) -> None:
    values = {
        "PORT": "1",
        "LISTEN": "127.0.0.1",
        "INTERFACES": "eth* wlan*",
        "EXCLUDE_INTERFACES": "veth*",
        "MAX_INTERFACES": "64",
        "INGRESS": "XDP-Generic eth*=tcx",
        "EGRESS": "no",
        "DECAP": "vxlan, 6in4",
        "FLOWS": "Sockets",
        "MAX_FLOWS": "7",
        "EVENTS": "Packet",
        "FLOW_CACHE": "64mib",
        "WORKERS": "3",
        "RING_SIZE": "65536",
        "CGROUPS": "no",
        "MAX_CGROUPS": "7",
        "NETWORKS": "networks.yml",
        "WEB_CONFIG": "web.yml",
        "TELEMETRY_PATH": "/packets",
        "MAX_CONNECTIONS": "9",
        "LEGACY_METRICS": "0",
        "PIN": "/sys/fs/bpf/x",
        "KUBERNETES": "1",
        "NODE_NAME": "node-7",
        "LOG_LEVEL": "ERROR",
        "LOG_FORMAT": "json",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"PKTEXP_{name}", value)
    run_main(monkeypatch, "serve")
    assert started == [
        Settings(
            port=1,
            listen="127.0.0.1",
            interfaces=("eth*", "wlan*"),
            exclude_interfaces=("veth*",),
            max_interfaces=64,
            ingress=(IngressRule(IngressMode.XDP_GENERIC), IngressRule(IngressMode.TCX, "eth*")),
            egress=False,
            decap=frozenset({Tunnel.VXLAN, Tunnel.SIXIN4}),
            flows=FlowMode.SOCKETS,
            max_flows=7,
            events=EventMode.PACKET,
            flow_cache=64 << 20,
            workers=3,
            ring_size=65536,
            cgroups=False,
            max_cgroups=7,
            networks=Path("networks.yml"),
            web_config=Path("web.yml"),
            telemetry_path="/packets",
            max_connections=9,
            legacy_metrics=False,
            pin=Path("/sys/fs/bpf/x"),
            kubernetes=True,
            node_name="node-7",
        )
    ]
    names = {p.name.upper() for p in main.serve.params if p.name}
    assert names == values.keys()


def test_flags_with_dots_have_variables_without(
    monkeypatch: pytest.MonkeyPatch, started: list[Settings]
) -> None:
    monkeypatch.setenv("PKTEXP_WEB_TELEMETRY_PATH", "/packets")
    monkeypatch.setenv("PKTEXP_WEB_CONFIG_FILE", "web.yml")
    run_main(monkeypatch, "serve")
    assert (started[0].telemetry_path, started[0].web_config) == ("/packets", Path("web.yml"))


def test_pe_workers_sets_workers(monkeypatch: pytest.MonkeyPatch, started: list[Settings]) -> None:
    monkeypatch.setenv("PE_WORKERS", "5")
    run_main(monkeypatch, "serve")
    assert started[0].workers == 5


def test_flow_cache_without_a_unit_is_an_error_that_says_what_changed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "serve", "--flow-cache", "16384") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a size with a unit, such as 32MiB" in line
    assert "16384 of them are 2MiB a CPU" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ("--port", "x"),
        ("--port", "70000"),
        ("--port", "-1"),
        ("--workers", "0"),
        ("--max-flows", "0"),
        ("--max-flows", "1e6"),
        ("--ring-size", "5000"),
        ("--ring-size", "1024"),
        ("--ring-size", "big"),
        ("--flow-cache", "16384"),
        ("--flow-cache", "32MB"),
        ("--flow-cache", "1KiB"),
        ("--flow-cache", "65GiB"),
        ("--events", "flows"),
        ("--max-interfaces", "1000"),
        ("--max-cgroups", "0"),
        ("--max-cgroups", "many"),
        ("--flows", "everything"),
        ("--ingress", "xdpp"),
        ("--ingress", "eth*=xdpp"),
        ("--ingress", "eth*="),
        ("--ingress", "=tcx"),
        ("--log-level", "loud"),
        ("--no-such-option",),
    ],
)
def test_invalid_value_is_one_line_naming_the_option(
    monkeypatch: pytest.MonkeyPatch,
    started: list[Settings],
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
) -> None:
    assert run_main(monkeypatch, "serve", *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("pktexp: error: ")
    assert arguments[0] in line
    assert line.endswith("(see 'pktexp serve --help')")
    assert not started


def test_replay_refuses_a_flow_format_without_flows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "replay", "x.pcap", "--flows", "off", "--format", "table") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--format table shows only flows: it needs a --flows other than off" in line
    assert line.endswith("(see 'pktexp replay --help')")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("metrics", "'metrics' is not a path such as /metrics"),
        ("/api/metrics", "'/api' is reserved"),
        ("/healthz", "'/healthz' is reserved"),
    ],
)
def test_malformed_and_reserved_paths_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], path: str, reason: str
) -> None:
    assert run_main(monkeypatch, "serve", "--web.telemetry-path", path) == 2
    assert reason in capsys.readouterr().err


def test_options_that_top_lacks_have_the_defaults_of_serve(
    monkeypatch: pytest.MonkeyPatch, started: list[Settings]
) -> None:
    run_main(monkeypatch, "serve", "--max-flows", "7")
    counting = {option.name: getattr(started[0], str(option.name)) for option in options.COUNTING}
    assert counting["max_flows"] == 7
    assert options.settings_of(counting) == started[0]


def test_control_characters_in_an_error_are_escaped(
    monkeypatch: pytest.MonkeyPatch, failing: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(PktexpError("\x1b[2J from a service", "mend it"))
    run_main(monkeypatch, "serve")
    assert capsys.readouterr().err == "pktexp: error: \\x1b[2J from a service (mend it)\n"


@pytest.mark.parametrize("module", ["pcapng", "lightkube", "textual", "yaml"])
def test_serve_does_not_import_optional_packages(module: str) -> None:
    code = f"import sys, pktexp.commands.main; sys.exit('{module}' in sys.modules)"
    assert finished([sys.executable, "-c", code]).returncode == 0


def test_invalid_variable_is_named_in_the_error(
    monkeypatch: pytest.MonkeyPatch, started: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PE_PORT", "http")
    assert run_main(monkeypatch, "serve") == 2
    assert "PE_PORT" in capsys.readouterr().err
    assert not started


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PktexpError("it broke", "mend it"), "pktexp: error: it broke (mend it)"),
        (
            BpfError(1, "load the BPF programs"),
            "pktexp: error: load the BPF programs: Operation not permitted ("
            + DEBUG
            + "shows the traceback)",
        ),
        (
            VerifierError(13, "load", "R1 invalid mem access"),
            "pktexp: error: load: Permission denied (" + DEBUG + "shows the verifier's log)",
        ),
    ],
)
def test_foreseen_error_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch,
    failing: Any,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    expected: str,
) -> None:
    failing(error)
    assert run_main(monkeypatch, "serve") == 1
    assert capsys.readouterr().err.splitlines() == [expected]


def test_debug_level_shows_traceback_and_verifier_log(
    monkeypatch: pytest.MonkeyPatch, failing: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(VerifierError(13, "load", "R1 invalid mem access"))
    assert run_main(monkeypatch, "serve", "--log-level", "debug") == 1
    err = capsys.readouterr().err
    assert "R1 invalid mem access" in err
    assert "Traceback" in err


def test_json_log_format_writes_json(
    monkeypatch: pytest.MonkeyPatch, started: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    run_main(monkeypatch, "serve", "--log-format", "json")
    logging.getLogger("pktexp.test").warning("hello %s", "there")
    line = json.loads(capsys.readouterr().err)
    assert line["message"] == "hello there"
    assert line["level"] == "WARNING"
    assert line["logger"] == "pktexp.test"
    assert started


def test_version_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"pktexp {__version__}\n"


def module(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pktexp", *arguments]
    return finished(command, capture_output=True, **options)


def test_python_m_pktexp_runs_the_command() -> None:
    assert module("--version").stdout == f"pktexp {__version__}\n"


def with_capabilities(*names: str) -> list[str]:
    """Return a prefix that runs a command with only these capabilities."""
    if os.geteuid() != 0:
        return []
    kept = ",".join(["-all", *(f"+{name}" for name in names)])
    return ["setpriv", f"--bounding-set={kept}", f"--inh-caps={kept}"]


def serve_with(*names: str) -> subprocess.CompletedProcess[str]:
    command = [*with_capabilities(*names), sys.executable, "-m", "pktexp", "serve"]
    command += ["--port", "0", "--listen", "192.0.2.77"]  # ends here if not earlier
    return finished(command, capture_output=True)


def test_missing_capabilities_are_named() -> None:
    done = serve_with()
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON missing" in line
    assert "run as root" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lend capabilities; sudo ./dev/test")
@pytest.mark.parametrize(
    ("has", "lacks"),
    [
        (["bpf", "net_admin"], "CAP_PERFMON missing"),
        (["bpf", "perfmon"], "CAP_NET_ADMIN missing"),
        (["sys_admin", "net_admin"], "cannot listen on 192.0.2.77"),
        (["bpf", "net_admin", "perfmon"], "cannot listen on 192.0.2.77"),
    ],
)
def test_capabilities_that_are_held_are_not_named(has: list[str], lacks: str) -> None:
    assert lacks in serve_with(*has).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to get as far; sudo ./dev/test")
def test_a_port_in_use_is_reported_with_the_command_to_find_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = module(
            "serve", "--listen", "127.0.0.1", "--port", str(port), "--interfaces", "none*"
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"port {port}: Address already in use" in line
    assert f"ss -ltnp sport = :{port}" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to get as far; sudo ./dev/test")
@pytest.mark.parametrize("address", ["no.such.host.invalid", "300.1.1.1", "192.0.2.77"])
def test_an_invalid_address_is_one_line(address: str) -> None:
    done = module("serve", "--listen", address, "--port", "0", "--interfaces", "none*")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("pktexp: error: cannot listen on")
    assert address in line

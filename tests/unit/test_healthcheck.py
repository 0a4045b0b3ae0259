"""`pktexp healthcheck` against servers of the standard library."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from pktexp.commands import healthcheck
from support.patience import finished

Serve = Callable[..., int]


class Server(ThreadingHTTPServer):
    """A server that answers /healthz with a status, and reports no errors."""

    status = 200

    def handle_error(self, *_: object) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.send_response(self.server.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Yield a function that starts a server at a free port; stops all servers at the end."""
    with contextlib.ExitStack() as stack:

        def start(status: int = 200, address: str = "", tls: ssl.SSLContext | None = None) -> int:
            Server.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
            server = stack.enter_context(Server((address, 0), Handler))
            server.status = status
            if tls:
                # Let the thread of the connection do the handshake, not the one that accepts.
                server.socket = tls.wrap_socket(
                    server.socket, server_side=True, do_handshake_on_connect=False
                )
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            stack.callback(server.shutdown)
            return int(server.server_address[1])

        yield start


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and a self-signed certificate for another host."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=elsewhere"
    command = ["openssl", "req", *options.split(), "-keyout", str(path), "-out", str(path)]
    finished(command, check=True, capture_output=True)
    assert path.read_text().count("BEGIN") == 2
    return path


def tls(certificate: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(certificate)
    return context


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    """Return the exit status and the line of output."""
    done = CliRunner().invoke(healthcheck.healthcheck, arguments, env=environment)
    assert done.output.count("\n") == 1
    return done.exit_code, done.output.rstrip("\n")


def test_a_server_that_answers_is_alive(serve: Serve) -> None:
    port = serve()
    assert run("--port", str(port)) == (0, f"alive at 127.0.0.1:{port}")


def test_a_server_that_requires_a_password_is_alive(serve: Serve) -> None:
    assert run("--port", str(serve(status=401)))[0] == 0


@pytest.mark.parametrize("status", [404, 500, 503])
def test_another_status_is_not_alive_and_reported(serve: Serve, status: int) -> None:
    ended, line = run("--port", str(serve(status)))
    assert ended == 1
    assert f"HTTP status {status} (check that serve runs" in line


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_the_listen_address_is_checked(serve: Serve, address: str) -> None:
    assert run(PKTEXP_PORT=str(serve(address=address)), PKTEXP_LISTEN=address)[0] == 0


def test_variables_are_the_same_as_of_serve(serve: Serve) -> None:
    alive, gone = str(serve()), "1"
    assert run(PE_PORT=alive)[0] == 0
    assert run(PE_PORT=gone, PKTEXP_PORT=alive)[0] == 0
    assert run("--port", alive, PKTEXP_PORT=gone)[0] == 0


def test_a_closed_port_is_not_alive() -> None:
    hint = "(check that serve runs with this --port and --listen)"
    assert run("--port", "1") == (1, f"not alive at 127.0.0.1:1: Connection refused {hint}")


def test_a_server_that_never_answers_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healthcheck, "TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ended, line = run("--port", str(silent.getsockname()[1]))
    assert ended == 1
    assert "timed out" in line


def test_a_server_of_another_protocol_is_not_alive() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            for _ in ("http", "https"):
                with other.accept()[0] as connection:
                    connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        threading.Thread(target=greet, daemon=True).start()
        assert run("--port", str(other.getsockname()[1]))[0] == 1


def test_a_certificate_is_not_verified(serve: Serve, certificate: Path) -> None:
    assert run("--port", str(serve(tls=tls(certificate))))[0] == 0


def test_the_status_is_checked_over_tls_too(serve: Serve, certificate: Path) -> None:
    ended, line = run("--port", str(serve(503, tls=tls(certificate))))
    assert ended == 1
    assert "HTTP status 503" in line


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_requires_a_client_certificate_is_alive(
    serve: Serve, certificate: Path, version: ssl.TLSVersion
) -> None:
    context = tls(certificate, version)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate)
    assert run("--port", str(serve(tls=context)))[0] == 0


def test_port_0_is_refused() -> None:
    done = CliRunner().invoke(healthcheck.healthcheck, ["--port", "0"])
    assert done.exit_code == 2
    assert "give the port in the log of serve" in done.output


def test_it_is_a_command_of_pktexp() -> None:
    command = [sys.executable, "-m", "pktexp", "healthcheck", "--port", "1"]
    done = finished(command, capture_output=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("not alive at 127.0.0.1:1: ")


def test_no_heavy_module_is_imported() -> None:
    heavy = "bool({'numpy', 'aiohttp', 'uvloop'} & set(sys.modules))"
    code = f"import sys, pktexp.commands.healthcheck; sys.exit({heavy})"
    assert finished([sys.executable, "-c", code]).returncode == 0

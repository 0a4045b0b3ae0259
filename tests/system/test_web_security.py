"""TLS, clients' certificates and passwords, by a real Prometheus and by clients that lack them."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPSConnection
from pathlib import Path

import bcrypt
import pytest

from support.monitoring.prometheus import prometheus
from support.netns.namespace import Namespace
from support.patience import wait_for
from support.service.certificates import Authority, trusting
from support.service.process import Service, serving
from support.service.secured import NAME, PASSWORD, ask

CONFIG = """
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_ca_file: ca.pem
  client_auth_type: RequireAndVerifyClientCert
http_server_config:
  headers:
    X-Frame-Options: deny
basic_auth_users:
  {name}: {hashed}
"""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path)
    authority.issue("server", "localhost")
    authority.issue("client", "prometheus.example")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(CONFIG.format(name=NAME, hashed=hashed))
    return authority


@pytest.fixture
def service(
    namespaces: Callable[[], Namespace], authority: Authority, tmp_path: Path
) -> Iterator[Service]:
    del authority  # its files are there
    with serving(namespaces(), "--web.config.file", str(tmp_path / "web.yml")) as service:
        yield service


def serial(service: Service, context: ssl.SSLContext) -> str:
    """Of the certificate that the service shows."""
    port = int(service.url.rstrip("/").rsplit(":", 1)[1])
    with (
        service.namespace.entered(),
        socket.create_connection(("localhost", port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        shown = wrapped.getpeercert()
        assert shown
        return str(shown["serialNumber"])


def test_prometheus_scrapes_with_certificate_and_password(service: Service, tmp_path: Path) -> None:
    port = int(service.url.rstrip("/").rsplit(":", 1)[1])
    assert service.url.startswith("https://")
    scheme = f"""
    scheme: https
    tls_config: {{ca_file: {tmp_path}/ca.pem, cert_file: {tmp_path}/client.crt,
      key_file: {tmp_path}/client.key}}
    basic_auth: {{username: {NAME}, password: {PASSWORD}}}
"""
    with prometheus(service.namespace, tmp_path, port, scrape=scheme) as server:
        wait_for(lambda: server.query('up{job="pktexp"} == 1'))
        wait_for(lambda: server.query("pktexp_build_info"))


def test_prometheus_with_a_wrong_password_is_refused(service: Service, tmp_path: Path) -> None:
    port = int(service.url.rstrip("/").rsplit(":", 1)[1])
    scheme = f"""
    scheme: https
    tls_config: {{ca_file: {tmp_path}/ca.pem, cert_file: {tmp_path}/client.crt,
      key_file: {tmp_path}/client.key}}
    basic_auth: {{username: {NAME}, password: wrong}}
"""
    with prometheus(service.namespace, tmp_path, port, scrape=scheme) as server:
        wait_for(lambda: server.query('up{job="pktexp"} == 0'))
        (target,) = server.ask("targets")["activeTargets"]
        assert "401" in target["lastError"]


def test_incomplete_credentials_are_rejected(service: Service, tmp_path: Path) -> None:
    good = trusting(tmp_path)
    assert ask(service, "metrics", good)[0] == 200
    assert ask(service, "metrics", good, "wrong")[0] == 401
    assert ask(service, "metrics", good, None)[0] == 401
    for path in ("", "api/v1/status", "api/v1/stream", "api/v1/nothing"):
        assert ask(service, path, good, None)[0] == 401
    assert json.loads(ask(service, "api/v1/status", good)[1])["ready"] is True
    assert ask(service, "healthz", good, None)[0] == 200
    with pytest.raises(OSError):  # noqa: PT011 # the alert may come, or just the end
        ask(service, "metrics", trusting(tmp_path, None))
    stranger = Authority(tmp_path, "stranger")
    stranger.issue("foreign", "prometheus.example")
    with pytest.raises(OSError):  # noqa: PT011 # likewise
        ask(service, "metrics", trusting(tmp_path, "foreign"))
    with pytest.raises(OSError, match="certificate verify failed"):
        ask(service, "metrics", trusting(tmp_path, ca="stranger"))
    ended = 'pktexp_http_connections_ended_total{reason="handshake_failed"} 3.0'
    wait_for(lambda: ended in ask(service, "metrics", good)[1])
    assert service.messages("ERROR", "WARNING") == []  # strangers do not fill the log


@pytest.mark.parametrize("hangup", [False, True])
def test_a_new_certificate_is_used_without_a_restart(
    service: Service, authority: Authority, tmp_path: Path, hangup: bool
) -> None:
    context = trusting(tmp_path)
    before = serial(service, context)
    authority.issue("server", "localhost")
    if hangup:
        os.kill(service.pid, signal.SIGHUP)
        service.wait_for_line("web: reloaded")
    wait_for(lambda: serial(service, context) != before)
    assert ask(service, "metrics", context)[0] == 200


def test_a_removed_user_is_refused_on_an_open_connection(service: Service, tmp_path: Path) -> None:
    port = int(service.url.rstrip("/").rsplit(":", 1)[1])
    given = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
    with service.namespace.entered():
        client = HTTPSConnection("localhost", port, timeout=30, context=trusting(tmp_path))
        client.connect()
    first = client.sock

    def status() -> int:
        assert client.sock is first  # it has not been connected anew
        client.request("GET", "/metrics", headers={"Authorization": f"Basic {given}"})
        answer = client.getresponse()
        answer.read()
        return answer.status

    assert status() == 200
    config = tmp_path / "web.yml"
    config.write_text(config.read_text().replace(NAME, "someone-else"))
    wait_for(lambda: status() == 401)
    client.close()


def test_a_failed_reload_keeps_the_previous_file_and_is_counted(
    service: Service, tmp_path: Path
) -> None:
    context = trusting(tmp_path)
    (tmp_path / "web.yml").write_text("basic_auth_users:\n  bob: secret\n")
    os.kill(service.pid, signal.SIGHUP)
    line = service.wait_for_line("web: reload failed")
    assert "web.yml:2: not a bcrypt hash" in line
    assert ask(service, "metrics", context, "wrong")[0] == 401
    status, page, headers = ask(service, "metrics", context)
    assert (status, headers["X-Frame-Options"]) == (200, "deny")
    assert 'pktexp_config_last_reload_successful{config="web"} 0.0' in page


def test_certificates_without_an_allowed_name_are_forbidden(
    namespaces: Callable[[], Namespace], authority: Authority, tmp_path: Path
) -> None:
    text = (tmp_path / "web.yml").read_text()
    allowed = "  client_allowed_sans: [prometheus.example, '2001:db8::7']\n"
    (tmp_path / "web.yml").write_text(text.replace("http_server", allowed + "http_server", 1))
    authority.issue("other", "other.example")
    authority.issue("address", "2001:db8::7")
    with serving(namespaces(), "--web.config.file", str(tmp_path / "web.yml")) as service:
        assert ask(service, "metrics", trusting(tmp_path))[0] == 200
        assert ask(service, "metrics", trusting(tmp_path, "address"))[0] == 200
        assert ask(service, "metrics", trusting(tmp_path, "other"))[0] == 403
        refused = 'pktexp_http_requests_refused_total{code="403"} 1.0'
        assert refused in ask(service, "metrics", trusting(tmp_path))[1]


def test_an_intermediate_authority_is_enough_as_in_go(
    namespaces: Callable[[], Namespace], authority: Authority, tmp_path: Path
) -> None:
    authority.below("middle").issue("below", "prometheus.example")
    text = (tmp_path / "web.yml").read_text()
    (tmp_path / "web.yml").write_text(text.replace("ca.pem", "middle.pem"))
    with serving(namespaces(), "--web.config.file", str(tmp_path / "web.yml")) as service:
        assert ask(service, "metrics", trusting(tmp_path, "below"))[0] == 200
        with pytest.raises(OSError):  # noqa: PT011 # the alert may come, or just the end
            ask(service, "metrics", trusting(tmp_path))  # of the authority above


def test_the_telemetry_path_can_be_changed(
    namespaces: Callable[[], Namespace],
) -> None:
    with serving(namespaces(), "--web.telemetry-path", "/packets") as service:
        assert b"pktexp_build_info" in service.get("packets").read()
        assert b'href="./packets"' in service.get("").read()
        with pytest.raises(urllib.error.HTTPError):
            service.get("metrics")

"""The live page where something is missing: flows, a password, the service itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import bcrypt

from support.netns.namespace import Namespace
from support.screens.browser import Opened, chromium, opened
from support.service.certificates import Authority
from support.service.process import serving
from support.service.secured import NAME, PASSWORD


def test_disabled_flows_show_how_to_enable_them(pair: tuple[Namespace, Namespace]) -> None:
    with (
        serving(pair[1], "--flows", "off", "--interfaces", "vb") as service,
        chromium(service) as browser,
        opened(browser, service) as view,
    ):
        assert "--flows hosts" in view.texts("#flow-note")[0]
        view.wait("document.querySelectorAll('#interfaces tbody tr').length === 1")


def test_the_page_works_behind_tls_and_a_password(
    namespaces: Callable[[], Namespace], tmp_path: Path
) -> None:
    Authority(tmp_path).issue("server", "localhost")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    config = tmp_path / "web.yml"
    config.write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
        f"basic_auth_users: {{{NAME}: {hashed}}}\n"
    )
    options = {
        "ignore_https_errors": True,
        "http_credentials": {"username": NAME, "password": PASSWORD},
    }
    with (
        serving(namespaces(), "--web.config.file", str(config)) as service,
        chromium(service) as browser,
        opened(browser, service, **options) as view,
    ):
        view.wait("document.querySelector('#state').textContent === 'live'")
        assert service.url.startswith("https://")


def test_a_stalled_or_stopped_service_is_reported_and_retried(
    namespaces: Callable[[], Namespace],
) -> None:
    with serving(namespaces()) as service, chromium(service) as browser:
        view = Opened(browser, service)
        os.kill(service.pid, signal.SIGSTOP)  # no connection ends, and nothing comes
        view.wait("document.querySelector('#state').className === 'bad'")
        assert view.texts("#state") == ["no connection, trying again"]
        os.kill(service.pid, signal.SIGCONT)
        view.wait("document.querySelector('#state').textContent === 'live'")
        service.stop()
        view.wait("document.querySelector('#state').className === 'bad'")
        assert view.texts("#state") == ["no connection, trying again"]
        assert view.rows("#interfaces")  # what was known last
        view.context.close()

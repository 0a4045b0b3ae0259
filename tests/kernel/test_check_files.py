"""Files that options name: `pktexp check` rejects those that `pktexp serve` rejects."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pktexp.commands.options import SERVE
from support.netns.namespace import Namespace
from support.service.certificates import Authority

FLAGS = [option.opts[0] for option in SERVE if isinstance(option.type, click.Path)]
NETWORKS, WEB = "--networks", "--web.config.file"
TLS = "tls_server_config:\n  cert_file: {}\n  key_file: {}\n"
CLIENTS = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {}\n"
WRONG: dict[str, tuple[str, str | bytes]] = {
    "prefix too long": (NETWORKS, "a: 10.0.0.0/33\n"),
    "no networks": (NETWORKS, ""),
    "named twice": (NETWORKS, "a: 10.0.0.0/8\nb: 10.0.0.0/8\n"),
    "not YAML": (NETWORKS, "a: [\n"),
    "not UTF-8": (NETWORKS, b"\xff\n"),
    "unknown section": (WEB, "basic_auth: {}\n"),
    "no bcrypt": (WEB, "basic_auth_users: {alice: secret}\n"),
    "no certificate": (WEB, TLS.format("missing.crt", "a.key")),
    "no key": (WEB, TLS.format("a.crt", "missing.key")),
    "another key": (WEB, TLS.format("a.crt", "b.key")),
    "key is no PEM": (WEB, TLS.format("a.crt", "wrong")),
    "no authority": (WEB, TLS.format("a.crt", "a.key") + CLIENTS.format("missing.pem")),
    "authority is no PEM": (WEB, TLS.format("a.crt", "a.key") + CLIENTS.format("wrong")),
}


def run(namespace: Namespace, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    full = (sys.executable, "-m", "pktexp", command, "--port", "0", *arguments)
    return subprocess.run(
        namespace.command(*full), capture_output=True, text=True, check=False, timeout=60
    )


def refused_alike(namespace: Namespace, *arguments: str) -> str:
    """Return the error of `serve`, after comparing it with the only missing item of `check`."""
    served = run(namespace, "serve", *arguments)
    checked = run(namespace, "check", "--json", *arguments)
    assert (served.returncode, checked.returncode) == (1, 1)
    document = json.loads(checked.stdout)
    (row,) = [each for each in document["checks"] if each["needed"] and each["state"] != "yes"]
    (line,) = served.stderr.splitlines()
    assert line == f"pktexp: error: {' '.join(row['detail'].split())} ({row['remedy']})"
    return line


@pytest.fixture
def here(pair: tuple[Namespace, Namespace]) -> Namespace:
    return pair[1]


@pytest.mark.parametrize("name", ["missing/file", "file"])
@pytest.mark.parametrize("flag", FLAGS)
def test_wrong_path_is_refused_for_every_option(
    here: Namespace, tmp_path: Path, flag: str, name: str
) -> None:
    (tmp_path / "file").write_bytes(b"\0")
    path = tmp_path / name
    assert str(path) in refused_alike(here, flag, str(path))


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_content_is_refused(here: Namespace, tmp_path: Path, kind: str) -> None:
    authority = Authority(tmp_path)
    for name in ("a", "b"):
        authority.issue(name, "localhost")
    (tmp_path / "wrong").write_text("wrong\n")
    flag, content = WRONG[kind]
    path = tmp_path / "file.yml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert str(path) in refused_alike(here, flag, str(path))


def test_every_wrong_file_has_a_row(here: Namespace, tmp_path: Path) -> None:
    path = str(tmp_path / "missing" / "file")
    checked = run(here, "check", "--json", *(each for flag in FLAGS for each in (flag, path)))
    rows = json.loads(checked.stdout)["checks"]
    assert len([row for row in rows if row["state"] == "no" and path in row["detail"]]) == len(
        FLAGS
    )


def test_folder_for_pins_that_cannot_be_used_is_not_left_behind(
    here: Namespace, tmp_path: Path
) -> None:
    path = tmp_path / "pins"
    assert "not on a bpffs" in run(here, "check", "--pin", str(path)).stdout
    assert not path.exists()


def test_right_files_are_valid(here: Namespace, tmp_path: Path) -> None:
    Authority(tmp_path).issue("a", "localhost")
    (tmp_path / "web.yml").write_text(TLS.format("a.crt", "a.key"))
    (tmp_path / "networks.yml").write_text("a: 10.0.0.0/8\n")
    files = (WEB, str(tmp_path / "web.yml"), NETWORKS, str(tmp_path / "networks.yml"))
    checked = run(here, "check", "--json", *files)
    assert checked.returncode == 0
    rows = {row["name"]: row for row in json.loads(checked.stdout)["checks"]}
    for name in ("web", "networks"):
        assert rows[name]["detail"] == f"{tmp_path / f'{name}.yml'} is valid"

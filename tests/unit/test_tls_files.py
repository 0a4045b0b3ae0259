"""TLS files that do not fit: errors name the file, and a reload keeps the previous version."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from pktexp.commands.main import cli
from pktexp.commands.serve.reload import Reloader
from pktexp.errors import PktexpError
from pktexp.web.security import Security
from support.patience import finished, joined

KINDS = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}
CLIENTS = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: "


def openssl(*arguments: str | Path) -> None:
    finished(["openssl", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with certificates and keys of both kinds, good and bad."""
    folder = tmp_path_factory.mktemp("tls")
    for name, kind in (("ec", "ec"), ("ec2", "ec"), ("rsa", "rsa"), ("rsa2", "rsa")):
        options = [
            "-x509",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-newkey",
        ]
        alternative = ["-addext", "subjectAltName=DNS:localhost"]
        files: list[str | Path] = [
            "-keyout",
            folder / f"{name}.key",
            "-out",
            folder / f"{name}.crt",
        ]
        openssl("req", *options, *KINDS[kind], *alternative, *files)
    key, certificate = folder / "ec.key", folder / "ec.crt"
    pem = certificate.read_text()
    openssl("pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", folder / "locked.key")
    openssl("rsa", "-in", folder / "rsa.key", "-traditional", "-aes256", "-passout", "pass:x",
            "-out", folder / "old-locked.key")  # fmt: skip
    openssl("pkey", "-in", key, "-pubout", "-out", folder / "public.key")
    openssl("req", "-new", "-key", key, "-subj", "/CN=x", "-out", folder / "request.crt")
    openssl("x509", "-in", certificate, "-outform", "der", "-out", folder / "der.crt")
    other = (folder / "rsa.crt").read_text()
    (folder / "both.pem").write_text(key.read_text() + pem)
    (folder / "chain.crt").write_text(pem + other)
    (folder / "reversed.crt").write_text(other + pem)
    (folder / "cut.crt").write_text(pem[: len(pem) // 2])
    (folder / "cut-chain.crt").write_text(pem + other[: len(other) // 2])
    (folder / "garbled.crt").write_text(pem.replace("MII", "???"))
    (folder / "garbled.key").write_text(key.read_text().replace("\nMI", "\nZZ"))
    (folder / "empty.crt").write_text("")
    return folder


def configured(folder: Path, cert: str, key: str, more: str = "") -> Path:
    file = folder / f"{cert}-{key}.yml"
    file.write_text(f"tls_server_config:\n  cert_file: {cert}\n  key_file: {key}\n{more}")
    return file


NOT_OF = "the private key {0}/{2} does not belong to the certificate {0}/{1}"
PASSPHRASE = "the private key {0}/{2} has a passphrase"
UNUSABLE = "cannot use the private key {0}/{2} with the certificate {0}/{1}: "
BAD_CERTIFICATE = "cannot read the certificate {0}/{1}: "


@pytest.mark.parametrize(
    ("cert", "key", "message"),
    [
        ("ec.crt", "ec2.key", NOT_OF),
        ("rsa.crt", "rsa2.key", NOT_OF),
        ("ec.crt", "rsa.key", NOT_OF),
        ("rsa.crt", "ec.key", NOT_OF),
        ("reversed.crt", "ec.key", NOT_OF),
        ("ec.crt", "locked.key", PASSPHRASE),
        ("rsa.crt", "old-locked.key", PASSPHRASE),
        ("ec.crt", "ec.crt", "{0}/{2} holds no private key, but CERTIFICATE"),
        ("ec.crt", "public.key", "{0}/{2} holds no private key, but PUBLIC KEY"),
        ("ec.key", "ec.crt", "{0}/{1} holds no certificate, but PRIVATE KEY"),
        ("request.crt", "ec.key", "{0}/{1} holds no certificate, but CERTIFICATE REQUEST"),
        ("der.crt", "ec.key", "{0}/{1} holds no certificate, but no PEM block"),
        ("empty.crt", "ec.key", "{0}/{1} holds no certificate, but no PEM block"),
        ("cut.crt", "ec.key", BAD_CERTIFICATE),
        ("cut-chain.crt", "ec.key", BAD_CERTIFICATE),
        ("garbled.crt", "ec.key", BAD_CERTIFICATE),
        ("none.crt", "ec.key", BAD_CERTIFICATE + "No such file or directory"),
        ("ec.crt", "none.key", "cannot read the private key {0}/{2}: No such file or directory"),
        ("ec.crt", ".", "cannot read the private key {0}: Is a directory"),
        ("ec.crt", "garbled.key", UNUSABLE),
    ],
)  # fmt: skip
def test_unfitting_files_are_named(made: Path, cert: str, key: str, message: str) -> None:
    file = configured(made, cert, key)
    with pytest.raises(PktexpError) as raised:
        Security(file).read()
    expected = message.format(made, cert, key)
    assert str(raised.value).startswith(f"{file}:2: {expected}")
    assert raised.value.hint


@pytest.mark.parametrize(
    ("authorities", "message"),
    [
        ("ec.key", "{0} holds no certificate, but PRIVATE KEY"),
        ("cut-chain.crt", "cannot read the certificate {0}: "),
        ("none.crt", "cannot read the certificate {0}: No such file or directory"),
    ],
)
def test_unfitting_authorities_are_named(made: Path, authorities: str, message: str) -> None:
    file = configured(made, "ec.crt", "ec.key", CLIENTS + authorities)
    with pytest.raises(PktexpError) as raised:
        Security(file).read()
    assert str(raised.value).startswith(f"{file}:2: " + message.format(made / authorities))
    assert "client_ca_file" in raised.value.hint


def test_inline_key_that_does_not_fit_is_named_by_its_option(made: Path) -> None:
    file = made / "inline.yml"
    lines = (made / "ec2.key").read_text().splitlines()
    text = "tls_server_config:\n  cert_file: ec.crt\n  key: |\n    " + "\n    ".join(lines)
    file.write_text(text)
    with pytest.raises(PktexpError, match=r"the private key in 'key' does not belong to"):
        Security(file).read()


def handshake(security: Security, folder: Path, ca: str) -> bytes:
    """Return the certificate that a client verifies by `ca` over a real connection."""
    server, client = socket.socketpair()
    context = security.state.context
    assert context

    def accept() -> None:
        with context.wrap_socket(server, server_side=True) as accepted:
            accepted.recv(1)

    thread = threading.Thread(target=accept)
    thread.start()
    trusted = ssl.create_default_context(cafile=str(folder / ca))
    with trusted.wrap_socket(client, server_hostname="localhost") as connected:
        shown = connected.getpeercert(binary_form=True)
        connected.send(b"x")
    joined(thread)
    assert shown
    return shown


@pytest.mark.parametrize(
    ("cert", "key", "ca"),
    [
        ("ec.crt", "ec.key", "ec.crt"),
        ("rsa.crt", "rsa.key", "rsa.crt"),
        ("chain.crt", "ec.key", "ec.crt"),
        ("both.pem", "both.pem", "ec.crt"),
    ],
)
def test_fitting_files_serve_connections(made: Path, cert: str, key: str, ca: str) -> None:
    security = Security(configured(made, cert, key))
    security.read()
    assert handshake(security, made, ca) == ssl.PEM_cert_to_DER_cert((made / ca).read_text())


async def test_reload_with_an_unfitting_key_keeps_the_previous_version(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("ec.crt", "ec.key"):
        (tmp_path / name).write_bytes((made / name).read_bytes())
    security, reloader = Security(configured(tmp_path, "ec.crt", "ec.key")), Reloader()
    reloader.add("web", security.read)
    (tmp_path / "ec.key").write_bytes((made / "rsa.key").read_bytes())
    await reloader.reload("web")
    expected = NOT_OF.format(tmp_path, "ec.crt", "ec.key")
    (line,) = caplog.messages
    assert line.startswith("web: reload failed, keeping the previous version: ")
    assert expected in line
    assert handshake(security, made, "ec.crt")


def test_check_names_files_that_do_not_fit(made: Path) -> None:
    file = configured(made, "ec.crt", "rsa.key")
    done = CliRunner().invoke(cli, ["check", "--port", "0", "--web.config.file", str(file)])
    assert done.exit_code == 1
    assert NOT_OF.format(made, "ec.crt", "rsa.key") in done.output
    assert "set key_file to the key of this certificate" in done.output

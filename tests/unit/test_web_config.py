"""The web configuration file: its settings, errors and reloads."""

from __future__ import annotations

import ssl
from pathlib import Path

import bcrypt
import pytest

from pktexp.errors import PktexpError
from pktexp.web.config import read
from pktexp.web.security import Security
from support.service.certificates import Authority

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
TLS = "tls_server_config:\n  cert_file: a.crt\n  key_file: a.key\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A path beside the certificates a and b of an authority."""
    authority = Authority(tmp_path)
    authority.issue("a", "localhost")
    authority.issue("b", "localhost")
    return tmp_path / "web.yml"


def test_every_supported_setting_is_applied(file: Path) -> None:
    file.write_text(
        TLS
        + """\
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus.example]
  min_version: TLS13
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [X25519]
http_server_config:
  http2: false
  headers:
    X-Frame-Options: deny
    Strict-Transport-Security: max-age=1
basic_auth_users:
  alice: """
        + HASH
    )
    security = Security(file)
    security.read()
    config, context = security.state.config, security.state.context
    assert config.users == {"alice": HASH.encode()}
    assert config.headers == {"X-Frame-Options": "deny", "Strict-Transport-Security": "max-age=1"}
    assert config.tls
    assert config.tls.allowed_names == {"prometheus.example"}
    assert context
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
    assert "ECDHE-RSA-AES128-GCM-SHA256" in [cipher["name"] for cipher in context.get_ciphers()]
    assert "ECDHE-RSA-AES256-GCM-SHA384" not in [c["name"] for c in context.get_ciphers()]
    assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE


def test_certificate_and_key_may_be_inline(file: Path) -> None:
    def indented(name: str) -> str:
        text = (file.parent / name).read_text()
        return "".join(f"    {line}\n" for line in text.splitlines())

    inline = f"  cert: |\n{indented('a.crt')}  key: |\n{indented('a.key')}"
    file.write_text("tls_server_config:\n" + inline)
    security = Security(file)
    security.read()
    assert security.state.context


@pytest.mark.parametrize("text", ["", "{}", "tls_server_config:\n", "# nothing\n"])
def test_an_empty_file_requires_nothing(file: Path, text: str) -> None:
    file.write_text(text)
    assert read(file).tls is None
    assert read(file).users == {}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: [", 1, "expected"),
        ("- a", 1, "expected keys with values"),
        ("tls_config: {}", 1, "unknown key 'tls_config'"),
        (TLS + "  cert_fil: x", 4, "unknown key 'cert_fil'"),
        (TLS + "  cert_file: x", 4, "duplicate key 'cert_file'"),
        (TLS + "  cert: x", 4, "both cert_file and cert are set"),
        ("\ntls_server_config:\n  cert_file: a.crt", 3, "TLS needs a certificate and its key"),
        (TLS + "  client_auth_type: Always", 4, "'Always' is not known"),
        (
            TLS + "  client_auth_type: RequireAnyClientCert",
            4,
            "without verification",
        ),
        (TLS + "  client_auth_type: RequireAndVerifyClientCert", 2, "must be set together"),
        (TLS + "  client_ca_file: ca.pem", 2, "must be set together"),
        (TLS + "  client_allowed_sans: [a]", 4, "requires client certificates"),
        (
            TLS
            + "  client_ca_file: ca.pem\n  client_auth_type: VerifyClientCertIfGiven\n"
            + "  client_allowed_sans: [a]",
            6,
            "requires client certificates",
        ),
        (
            TLS + "  client_auth_type: RequireClientCert",
            4,
            "without verification",
        ),
        (TLS + "  cipher_suites:\n  - TLS_AES_128_GCM_SHA256", 5, "no cipher suite of TLS 1.2"),
        (TLS + "  min_version: 1.2", 4, "'1.2' is not known"),
        (TLS + "  cipher_suites:\n  - A", 5, "'A' is not known"),
        (TLS + "  prefer_server_cipher_suites: maybe", 4, "expected true or false"),
        (TLS + "  curve_preferences: [X25519,\n    CurveP256]", 5, "only one curve"),
        (TLS.replace("a.crt", "none.crt"), 2, "No such file"),
        (TLS.replace("a.key", "b.key"), 2, "does not belong"),
        (TLS + "  max_version: TLS11", 4, "'TLS11' is not known"),
        (TLS + "  max_version: TLS12\n  min_version: TLS13", 2, "above max_version"),
        ("http_server_config:\n  http2: sometimes", 2, "expected true or false"),
        ("http_server_config:\n  headers:\n    Server: me", 3, "unknown key 'Server'"),
        ("http_server_config:\n  headers:\n    X-Frame-Options: no", 3, "'no' is not known"),
        ('http_server_config:\n  headers:\n    X-XSS-Protection: "a\\nb"', 3, "one line"),
        ("basic_auth_users:\n  bob: secret", 2, "not a bcrypt hash"),
        ("basic_auth_users:\n  bob: $2y$99$" + 53 * "a", 2, "not a bcrypt hash"),
        ("basic_auth_users:\n  bob: $2y$10$" + 53 * "!", 2, "not a bcrypt hash"),
        ("basic_auth_users:\n  bob:", 2, "expected a single value"),
        ("rate_limit:\n  burst: 3", 2, "not supported"),
    ],
)
def test_invalid_settings_are_reported_with_their_line(
    file: Path, text: str, line: int, message: str
) -> None:
    file.write_text(text)
    with pytest.raises(PktexpError) as raised:
        Security(file).read()
    assert str(raised.value).startswith(f"{file}:{line}: ")
    assert message in str(raised.value)
    assert raised.value.hint


@pytest.mark.parametrize(
    "more",
    [
        "  min_version: TLS13\n  cipher_suites: [TLS_AES_128_GCM_SHA256]",
        "  cipher_suites: [TLS_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]",
    ],
)
def test_tls_1_3_ciphers_may_be_listed_as_in_go(file: Path, more: str) -> None:
    file.write_text(TLS + more)
    Security(file).read()


def test_a_blank_header_is_not_set(file: Path) -> None:
    file.write_text('http_server_config:\n  headers:\n    X-XSS-Protection: ""')
    assert read(file).headers == {}


@pytest.mark.parametrize("content", [b"[" * 5000, b"#" * ((1 << 20) + 1)])
def test_oversized_and_deeply_nested_files_are_rejected(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(PktexpError, match=r"web\.yml: ") as raised:
        read(file)
    assert raised.value.hint == "check the path"
    with pytest.raises(PktexpError, match="larger"):
        read(Path("/dev/zero"))


def test_missing_and_binary_files_are_rejected(file: Path) -> None:
    with pytest.raises(PktexpError, match="No such file"):
        read(file)
    file.write_bytes(b"a: \xff")
    with pytest.raises(PktexpError, match="not UTF-8 at byte 3"):
        read(file)


def test_a_key_with_a_passphrase_is_rejected_without_a_prompt(file: Path) -> None:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 # trustme's own

    plain = (file.parent / "a.key").read_bytes()
    key = serialization.load_pem_private_key(plain, None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (file.parent / "a.key").write_bytes(locked)
    file.write_text(TLS)
    with pytest.raises(PktexpError, match="passphrase"):
        Security(file).read()


def detected(security: Security) -> bool:
    """Return whether a change is detected: by the second check, as files must be stable."""
    assert not security.changed()
    return security.changed()


def test_changes_are_detected_once_files_are_stable(file: Path) -> None:
    file.write_text(TLS)
    security = Security(file)
    security.read()
    assert not detected(security)
    Authority(file.parent).issue("a", "localhost")
    assert not security.changed()
    Authority(file.parent).issue("a", "localhost")  # the file is still being written
    assert detected(security)
    security.read()
    file.write_text(TLS + "  min_version: TLS13\n")
    assert detected(security)
    security.read()
    assert not detected(security)


@pytest.mark.parametrize("bad", ["no such thing: 1", TLS.replace("a.key", "none.key")])
def test_an_invalid_file_is_reread_only_after_a_change(file: Path, bad: str) -> None:
    file.write_text(TLS)
    security = Security(file)
    security.read()
    file.write_text(bad)
    assert detected(security)
    with pytest.raises(PktexpError):
        security.read()
    assert not detected(security)
    assert security.state.context
    file.touch()
    assert detected(security)


def test_a_missing_file_is_read_once_it_appears(file: Path) -> None:
    file.write_text(TLS)
    security = Security(file)
    security.read()
    file.write_text(TLS.replace("a.key", "late.key"))
    with pytest.raises(PktexpError):
        security.read()
    assert not detected(security)
    (file.parent / "late.key").write_bytes((file.parent / "a.key").read_bytes())
    assert detected(security)
    security.read()


AUTH = f"basic_auth_users:\n  alice: {HASH}\n"
CLIENTS = "  client_ca_file: ca.pem\n  client_auth_type: "
REQUIRED = CLIENTS + "RequireAndVerifyClientCert\n"
ALLOWED = "  client_allowed_sans: [a]\n"


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        (AUTH, "", "basic_auth_users"),
        (TLS + AUTH, TLS, "basic_auth_users"),
        (TLS, "", "tls_server_config"),
        (TLS + REQUIRED, TLS, "client_auth_type"),
        (TLS + REQUIRED, TLS + CLIENTS + "VerifyClientCertIfGiven\n", "client_auth_type"),
        (TLS + REQUIRED + ALLOWED, TLS + REQUIRED, "client_allowed_sans"),
    ],
    # Not the files themselves: a salted hash differs from one worker of pytest-xdist to the next.
    ids=["users", "users beside TLS", "TLS", "certificates", "optional certificates", "names"],
)
def test_a_reload_never_removes_protection(file: Path, before: str, after: str, lost: str) -> None:
    file.write_text(before)
    security = Security(file)
    security.read()
    state = security.state
    file.write_text(after)
    with pytest.raises(PktexpError, match=f"a reload must not remove {lost}"):
        security.read()
    assert security.state is state
    Security(file).read()  # as after a restart


def test_a_reload_may_add_protection(file: Path) -> None:
    security = Security(file)
    for text in ("", AUTH, TLS + AUTH, TLS + REQUIRED + AUTH, TLS + REQUIRED + ALLOWED + AUTH):
        file.write_text(text)
        security.read()
    assert security.state.config.tls
    assert security.state.config.tls.allowed_names

"""TLS as the web configuration file's first section asks for it (config.py), by OpenSSL.

What Python's ssl cannot do is refused, never left out silently.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pktexp.errors import PktexpError
from pktexp.yamlfile import Value

KEYS = (
    "cert_file",
    "key_file",
    "cert",
    "key",
    "client_auth_type",
    "client_ca_file",
    "client_ca",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
)
# Go's names (crypto/tls.ClientAuthType). OpenSSL by way of Python verifies whatever it asks for.
CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert")
VERSION_KEYS = ("min_version", "max_version")
# RFC 8996 forbids the older ones.
VERSIONS = {
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
# Go's names (crypto/tls.CipherSuites) to OpenSSL's. Those of TLS 1.3 cannot be chosen in either.
CIPHERS = {
    f"TLS_ECDHE_{key}_WITH_{cipher}": f"ECDHE-{key}-{name}"
    for key in ("ECDSA", "RSA")
    for cipher, name in (
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
        ("CHACHA20_POLY1305", "CHACHA20-POLY1305"),
    )
}


@dataclass(frozen=True)
class TlsConfig:
    """The section; PEM is in a file, or in the section itself."""

    section: Value
    cert: Path | str
    key: Path | str
    client_auth: ssl.VerifyMode
    client_ca: Path | str | None
    allowed_names: frozenset[str]
    """of which a client's certificate must have one; any if empty"""
    minimum: ssl.TLSVersion
    maximum: ssl.TLSVersion
    ciphers: tuple[str, ...]
    server_prefers: bool
    curve: str | None

    @property
    def files(self) -> list[Path]:
        """Those that it names."""
        return [p for p in (self.cert, self.key, self.client_ca) if isinstance(p, Path)]


def read_tls(section: Value) -> TlsConfig:
    """PktexpError, with the line, for what is wrong or cannot be done."""
    parts = section.mapping(KEYS)
    certificate, key = (_pem(section, parts, name) for name in ("cert", "key"))
    if certificate is None or key is None:
        raise section.error("a certificate and its key are needed: cert_file and key_file")
    client_auth = _client_auth(parts.get("client_auth_type"))
    client_ca = _pem(section, parts, "client_ca")
    if (client_ca is None) != (client_auth == ssl.CERT_NONE):
        hint = "both client_ca_file and client_auth_type, or neither"
        raise section.error("clients' certificates are asked for by halves", hint)
    return TlsConfig(
        section,
        certificate,
        key,
        client_auth,
        client_ca,
        frozenset(v.text() for v in _values(parts, "client_allowed_sans")),
        *_versions(section, parts),
        tuple(CIPHERS[v.choice(CIPHERS)] for v in _values(parts, "cipher_suites")),
        parts["prefer_server_cipher_suites"].flag()
        if "prefer_server_cipher_suites" in parts
        else True,
        _curve(parts),
    )


def _values(parts: Mapping[str, Value], name: str) -> list[Value]:
    return parts[name].sequence() if name in parts else []


def _pem(section: Value, parts: Mapping[str, Value], name: str) -> Path | str | None:
    """A file, by a path that is relative to the configuration's, or the PEM itself."""
    given = [key for key in (f"{name}_file", name) if key in parts and not parts[key].empty]
    if len(given) > 1:
        raise parts[given[1]].error(f"both {given[0]} and {given[1]} are given")
    if not given:
        return None
    text = parts[given[0]].text()
    return section.file.parent / text if given[0].endswith("_file") else text


def _client_auth(value: Value | None) -> ssl.VerifyMode:
    if value is None or value.empty:
        return ssl.CERT_NONE
    if value.text() in UNVERIFIED:
        hint = "VerifyClientCertIfGiven or RequireAndVerifyClientCert"
        raise value.error("certificates that are not verified are not asked for", hint)
    return CLIENT_AUTH[value.choice(CLIENT_AUTH)]


def _versions(section: Value, parts: Mapping[str, Value]) -> tuple[ssl.TLSVersion, ssl.TLSVersion]:
    given = [parts[name].choice(VERSIONS) if name in parts else "" for name in VERSION_KEYS]
    minimum, maximum = VERSIONS[given[0] or "TLS12"], VERSIONS[given[1] or "TLS13"]
    if minimum > maximum:
        raise section.error("min_version is above max_version")
    return minimum, maximum


def _curve(parts: Mapping[str, Value]) -> str | None:
    values = _values(parts, "curve_preferences")
    if len(values) > 1:
        raise values[1].error("only one curve can be given", "leave the others out")
    return CURVES[values[0].choice(CURVES)] if values else None


def make_context(config: TlsConfig, context: ssl.SSLContext) -> None:
    """Puts the section into a fresh context; PktexpError for files that are of no use."""
    try:
        _configure(config, context)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        names = ", ".join(str(path) for path in config.files) or "the inline PEM"
        hint = f"look at {names}: PEM, readable, of one pair, the key without a passphrase"
        raise config.section.error(f"TLS cannot be had with this: {reason}", hint) from error


def _configure(config: TlsConfig, context: ssl.SSLContext) -> None:
    context.minimum_version, context.maximum_version = config.minimum, config.maximum
    with _path(config.cert) as certificate, _path(config.key) as key:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    context.verify_mode = config.client_auth
    if config.client_ca is not None:
        with _path(config.client_ca) as authorities:
            context.load_verify_locations(authorities)
    if config.ciphers:
        context.set_ciphers(":".join(config.ciphers))
    if config.curve:
        context.set_ecdh_curve(config.curve)
    if not config.server_prefers:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE


def _no_passphrase() -> str:
    """Else OpenSSL would ask for one at the terminal."""
    raise PktexpError("the key has a passphrase", "store it without one")


@contextlib.contextmanager
def _path(pem: Path | str) -> Iterator[str]:
    """Of a file, or of memory that holds the text: OpenSSL reads certificates from files alone."""
    if isinstance(pem, Path):
        yield str(pem)
        return
    fd = os.memfd_create("pem")
    try:
        os.write(fd, pem.encode())
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)

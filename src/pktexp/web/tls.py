"""Validate the section `tls_server_config` of the web configuration file.

Settings that Python's ssl does not support are errors; none is ignored silently.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
# Go's names (crypto/tls.ClientAuthType). Python's ssl verifies every certificate that it requests.
CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
VERSION_KEYS = ("min_version", "max_version")
# RFC 8996 forbids older versions.
TLS_VERSIONS = {
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
# Go's names (crypto/tls.CipherSuites). As in Go, a file may list the suites of TLS 1.3, but all of
# them are enabled in any case.
TLS13_CIPHERS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
# Go's names to OpenSSL's.
TLS12_CIPHERS = {
    f"TLS_ECDHE_{key}_WITH_{cipher}": f"ECDHE-{key}-{name}"
    for key in ("ECDSA", "RSA")
    for cipher, name in (
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
    )
}


@dataclass(frozen=True)
class TlsConfig:
    """The validated section; a Path names a PEM file, a str is PEM from the section itself."""

    section: Value
    cert: Path | str
    key: Path | str
    client_auth: ssl.VerifyMode
    client_ca: Path | str | None
    allowed_names: frozenset[str]
    """a client certificate must have one of these names; if empty, any is accepted"""
    minimum: ssl.TLSVersion
    maximum: ssl.TLSVersion
    ciphers: tuple[str, ...]
    server_prefers: bool
    curve: str | None

    @property
    def files(self) -> list[Path]:
        """Return the PEM files that the section names."""
        return [p for p in (self.cert, self.key, self.client_ca) if isinstance(p, Path)]


def read_tls(section: Value) -> TlsConfig:
    """Validate the section. Raises PktexpError with the line of a bad or unsupported key."""
    parts = section.mapping(KEYS)
    certificate, key = (_pem(section, parts, name) for name in ("cert", "key"))
    if certificate is None or key is None:
        raise section.error("TLS needs a certificate and its key", "set cert_file and key_file")
    client_auth = _client_auth(parts.get("client_auth_type"))
    client_ca = _pem(section, parts, "client_ca")
    if (client_ca is None) != (client_auth == ssl.CERT_NONE):
        message = "client_auth_type and client_ca_file must be set together"
        raise section.error(message, "set both, or remove both")
    allowed = frozenset(canonical(v.text()) for v in _values(parts, "client_allowed_sans"))
    if allowed and client_auth != ssl.CERT_REQUIRED:
        hint = "set client_auth_type: RequireAndVerifyClientCert"
        value = parts["client_allowed_sans"]
        raise value.error("client_allowed_sans requires client certificates", hint)
    versions = _versions(section, parts)
    return TlsConfig(
        section,
        certificate,
        key,
        client_auth,
        client_ca,
        allowed,
        *versions,
        _ciphers(parts, versions[0]),
        parts["prefer_server_cipher_suites"].flag()
        if "prefer_server_cipher_suites" in parts
        else True,
        _curve(parts),
    )


def _values(parts: Mapping[str, Value], name: str) -> list[Value]:
    return parts[name].sequence() if name in parts else []


def _pem(section: Value, parts: Mapping[str, Value], name: str) -> Path | str | None:
    """Return a file, its path relative to the configuration file, or the PEM text itself."""
    given = [key for key in (f"{name}_file", name) if key in parts and not parts[key].empty]
    if len(given) > 1:
        raise parts[given[1]].error(f"both {given[0]} and {given[1]} are set", "remove one of them")
    if not given:
        return None
    text = parts[given[0]].text()
    return section.file.parent / text if given[0].endswith("_file") else text


def _client_auth(value: Value | None) -> ssl.VerifyMode:
    if value is None or value.empty:
        return ssl.CERT_NONE
    if value.text() in UNVERIFIED:
        hint = "set VerifyClientCertIfGiven or RequireAndVerifyClientCert"
        raise value.error("client certificates without verification are not supported", hint)
    return CLIENT_AUTH[value.choice(CLIENT_AUTH)]


def _versions(section: Value, parts: Mapping[str, Value]) -> tuple[ssl.TLSVersion, ssl.TLSVersion]:
    given = [parts[name].choice(TLS_VERSIONS) if name in parts else "" for name in VERSION_KEYS]
    minimum, maximum = TLS_VERSIONS[given[0] or "TLS12"], TLS_VERSIONS[given[1] or "TLS13"]
    if minimum > maximum:
        raise section.error("min_version is above max_version")
    return minimum, maximum


def _ciphers(parts: Mapping[str, Value], minimum: ssl.TLSVersion) -> tuple[str, ...]:
    values = _values(parts, "cipher_suites")
    names = [value.choice([*TLS12_CIPHERS, *TLS13_CIPHERS]) for value in values]
    found = tuple(TLS12_CIPHERS[name] for name in names if name not in TLS13_CIPHERS)
    if values and not found and minimum < ssl.TLSVersion.TLSv1_3:
        hint = "add a suite of TLS 1.2, or set min_version: TLS13"
        raise values[0].error("no cipher suite of TLS 1.2 is listed", hint)
    return found


def canonical(name: str) -> str:
    """Return a certificate's name, with IP addresses in their canonical form."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def _curve(parts: Mapping[str, Value]) -> str | None:
    values = _values(parts, "curve_preferences")
    if len(values) > 1:
        raise values[1].error("only one curve is supported", "remove the others")
    return CURVES[values[0].choice(CURVES)] if values else None

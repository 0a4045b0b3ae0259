"""The web configuration file, in the format of the Prometheus exporter-toolkit (0.14).

This module validates the file; tls.py validates its TLS section, and security.py puts it in force.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pktexp import yamlfile
from pktexp.web.tls import TlsConfig, read_tls
from pktexp.yamlfile import Value

log = logging.getLogger(__name__)

SECTIONS = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
# The toolkit's headers with the values that it allows; () allows any.
HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}


@dataclass(frozen=True)
class WebConfig:
    """The contents of a web configuration file; the defaults ask clients for nothing."""

    tls: TlsConfig | None = None
    users: Mapping[str, bytes] = field(default_factory=dict)
    """bcrypt hashes by user name"""
    headers: Mapping[str, str] = field(default_factory=dict)
    """added to every response"""


def read(path: Path) -> WebConfig:
    """Read and validate a file. Raises PktexpError with the line of the first fault."""
    parts = yamlfile.read(path).mapping(SECTIONS)
    if "rate_limit" in parts:
        hint = "remove it: connections are limited, and simultaneous scrapes share a page"
        raise parts["rate_limit"].error("rate_limit is not supported", hint)
    tls, http, users = (parts.get(name) for name in SECTIONS[:3])
    return WebConfig(
        tls=read_tls(tls) if tls and not tls.empty else None,
        users=_users(users) if users else {},
        headers=_headers(http) if http else {},
    )


def _users(value: Value) -> dict[str, bytes]:
    return {name: _hash(hashed) for name, hashed in value.mapping().items()}


def _hash(value: Value) -> bytes:
    text = value.text()
    if not BCRYPT.fullmatch(text):
        hint = "create one with 'htpasswd -nBC 10 \"\"', and quote it in the file"
        raise value.error("not a bcrypt hash", hint)
    return text.encode()


def _headers(value: Value) -> dict[str, str]:
    parts = value.mapping(("http2", "headers"))
    if "http2" in parts and parts["http2"].flag():
        log.info("http2 is ignored: pktexp serves HTTP/1.1 only")
    headers = parts["headers"].mapping(HEADERS) if "headers" in parts else {}
    found = {name: _header(name, text) for name, text in headers.items()}
    return {name: text for name, text in found.items() if text}  # blank is unset, as in the toolkit


def _header(name: str, value: Value) -> str:
    text = value.choice(HEADERS[name]) if HEADERS[name] else value.text()
    if not text.isprintable():
        raise value.error("a header value must be one line of printable characters")
    return text

"""OpenSSL set up as the web configuration asks for it (tls.py); security.py has it done."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

from pktexp.errors import PktexpError
from pktexp.web.tls import TlsConfig


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
        # Go takes whatever is in the file for a root, an intermediate authority as well.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
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

"""Configure an SSL context by a validated TLS section (tls.py)."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

from pktexp.errors import PktexpError
from pktexp.web.tls import TlsConfig


def configure_context(config: TlsConfig, context: ssl.SSLContext) -> None:
    """Apply the section to a fresh context. Raises PktexpError if OpenSSL rejects a file."""
    try:
        _configure(config, context)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        names = ", ".join(str(path) for path in config.files) or "the inline PEM"
        hint = f"check {names}: readable PEM, a matching pair, the key without a passphrase"
        raise config.section.error(f"cannot set up TLS: {reason}", hint) from error


def _configure(config: TlsConfig, context: ssl.SSLContext) -> None:
    context.minimum_version, context.maximum_version = config.minimum, config.maximum
    with _path(config.cert) as certificate, _path(config.key) as key:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    context.verify_mode = config.client_auth
    if config.client_ca is not None:
        with _path(config.client_ca) as authorities:
            context.load_verify_locations(authorities)
        # As in Go, any certificate in the file is a root, an intermediate authority included.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if config.ciphers:
        context.set_ciphers(":".join(config.ciphers))
    if config.curve:
        context.set_ecdh_curve(config.curve)
    if not config.server_prefers:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE


def _no_passphrase() -> str:
    """Raise PktexpError; without a callback OpenSSL would prompt at the terminal."""
    raise PktexpError("the key has a passphrase", "remove the passphrase from the key file")


@contextlib.contextmanager
def _path(pem: Path | str) -> Iterator[str]:
    """Yield the path of a file, or of a memory file with the PEM: OpenSSL loads only from files."""
    if isinstance(pem, Path):
        yield str(pem)
        return
    fd = os.memfd_create("pem")
    try:
        os.write(fd, pem.encode())
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)

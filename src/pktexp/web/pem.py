"""PEM of the TLS section: a file or text, its path for OpenSSL, and the kinds of objects in it."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

MAX_SIZE = 1 << 20  # bytes read of a file
LABEL = re.compile(r"^-----BEGIN ([A-Z0-9 ]+)-----", re.MULTILINE)
CERTIFICATES = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
PRIVATE_KEY = "PRIVATE KEY"  # the end of all labels of keys: RSA, EC, ENCRYPTED


def holds_certificate(pem: Path | str) -> bool:
    """Return whether there is a certificate. Raises OSError if the file cannot be read."""
    return any(label in CERTIFICATES for label in labels(pem))


def holds_key(pem: Path | str) -> bool:
    """Return whether there is a private key. Raises OSError if the file cannot be read."""
    return any(label.endswith(PRIVATE_KEY) for label in labels(pem))


def labels(pem: Path | str) -> list[str]:
    """Return the label of each object. Raises OSError if the file cannot be read."""
    if isinstance(pem, str):
        return LABEL.findall(pem)
    with pem.open("rb") as file:
        return LABEL.findall(file.read(MAX_SIZE).decode(errors="replace"))


def load_authorities(context: ssl.SSLContext, pem: Path | str) -> None:
    """Make the context trust the certificates. Raises ssl.SSLError if one is malformed."""
    with path(pem) as name:
        context.load_verify_locations(name)


@contextlib.contextmanager
def path(pem: Path | str) -> Iterator[str]:
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

"""Certificates of an authority that only a test knows."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """An authority that writes PEM files into a folder."""

    def __init__(self, folder: Path, name: str = "ca", made: trustme.CA | None = None) -> None:
        self._folder = folder
        self._authority = made or trustme.CA()
        self.file = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def below(self, name: str) -> Authority:
        """Return an intermediate authority."""
        return Authority(self._folder, name, self._authority.create_child_ca())

    def issue(self, name: str, *identities: str) -> tuple[Path, Path]:
        """Write certificate and key for these names into NAME.crt and NAME.key, replacing any."""
        issued = self._authority.issue_cert(*identities)
        files = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(str(files[0]))
        issued.private_key_pem.write_to_path(str(files[1]))
        return files


def trusting(folder: Path, client: str | None = "client", ca: str = "ca") -> ssl.SSLContext:
    """Return a context that trusts the authority CA and presents the certificate of `client`."""
    context = ssl.create_default_context(cafile=str(folder / f"{ca}.pem"))
    if client:
        context.load_cert_chain(folder / f"{client}.crt", folder / f"{client}.key")
    return context

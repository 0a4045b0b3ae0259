"""Certificates of an authority that only a test knows."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """Writes PEM files into a folder."""

    def __init__(self, folder: Path, name: str = "ca", made: trustme.CA | None = None) -> None:
        self._folder = folder
        self._authority = made or trustme.CA()
        self.file = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def below(self, name: str) -> Authority:
        """One that this one vouches for."""
        return Authority(self._folder, name, self._authority.create_child_ca())

    def issue(self, name: str, *identities: str) -> tuple[Path, Path]:
        """Certificate and key for these names, in NAME.crt and NAME.key, which may be there."""
        issued = self._authority.issue_cert(*identities)
        files = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(str(files[0]))
        issued.private_key_pem.write_to_path(str(files[1]))
        return files


def trusting(folder: Path, client: str | None = "client", ca: str = "ca") -> ssl.SSLContext:
    """Trusts the authority CA, and shows the certificate that was issued to `client`."""
    context = ssl.create_default_context(cafile=str(folder / f"{ca}.pem"))
    if client:
        context.load_cert_chain(folder / f"{client}.crt", folder / f"{client}.key")
    return context

"""Which kernels there are to try, and whose packages they come from; fetched by packages.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Archive:
    """A suite of a mirror of Debian or Ubuntu, as in sources.list(5)."""

    mirror: str
    suite: str
    keyring: Path
    """of those who sign it"""


@dataclass(frozen=True)
class Release:
    """A kernel series; `package` depends on the packages of its newest version there."""

    name: str
    origin: str
    archive: Archive
    package: str
    architecture: str = "amd64"


CACHE = Path("/var/cache/pktexp-kernels")

# From Debian 13, as Debian 12 has no package of Ubuntu's keys.
KEYS = "ubuntu-keyring"
UBUNTU_KEYRING = CACHE / KEYS / "usr/share/keyrings/ubuntu-archive-keyring.gpg"
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

DEBIAN = "http://deb.debian.org/debian"
SECURITY = "http://deb.debian.org/debian-security"
UBUNTU = "http://archive.ubuntu.com/ubuntu"


def _debian(suite: str, mirror: str = DEBIAN) -> Archive:
    return Archive(mirror, suite, DEBIAN_KEYRING)


KEYS_ARCHIVE = _debian("trixie")
BACKPORTS = _debian("bookworm-backports")
RELEASES = (
    Release("5.10", "Debian 11", _debian("bullseye-security", SECURITY), "linux-image-amd64"),
    Release(
        "5.15",
        "Ubuntu 22.04",
        Archive(UBUNTU, "jammy-updates", UBUNTU_KEYRING),
        "linux-image-virtual",
    ),
    Release("6.1", "Debian 12", _debian("bookworm-security", SECURITY), "linux-image-amd64"),
    Release("6.12", "Debian 12 backports", BACKPORTS, "linux-image-amd64"),
    Release("6.12-arm64", "Debian 12 backports", BACKPORTS, "linux-image-arm64", "arm64"),
    Release("7.3", "Debian 13 backports", _debian("trixie-backports"), "linux-image-amd64"),
)
BY_NAME = {release.name: release for release in RELEASES}
TOO_OLD = ("5.10",)  # for pktexp: tried for what it says there

"""Kernels out of Debian's and Ubuntu's packages, kept in CACHE; for __main__.py and the tests.

By apt, with lists and keys of its own, so that signatures are checked and the machine's own
packages are not concerned. What is there is not fetched again: remove its folder to have the
newest.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kernels.releases import CACHE, KEYS, KEYS_ARCHIVE, UBUNTU_KEYRING, Archive, Release

PARTS = re.compile(r"(?:Depends: |^)(linux-(?:base|binary|image|modules)-\d\S*)", re.MULTILINE)


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel: lib/modules/VERSION; its image in boot or, of Debian's 7.x, there."""

    folder: Path

    @property
    def version(self) -> str:
        """As uname -r tells it there."""
        return next((self.folder / "lib/modules").iterdir()).name

    @property
    def image(self) -> Path:
        """The file to boot."""
        inside = self.modules / "vmlinuz"
        return inside if inside.exists() else self.folder / "boot" / f"vmlinuz-{self.version}"

    @property
    def modules(self) -> Path:
        """What modprobe reads."""
        return self.folder / "lib/modules" / self.version


def fetch(release: Release) -> Kernel:
    """A kernel, from the mirror if it is not there yet; CalledProcessError if it can't be had."""
    if release.archive.keyring == UBUNTU_KEYRING:
        kept(KEYS, lambda folder: unpack(KEYS_ARCHIVE, folder, lambda _: [KEYS]))
    return Kernel(kept(release.name, lambda folder: _install(release, folder)))


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of that name, made if it is not there; never half of it."""
    if not (kept := CACHE / name).exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            (whole := Path(folder) / "whole").mkdir()
            make(whole)
            whole.rename(kept)
    return kept


def _install(release: Release, folder: Path) -> None:
    parts = partial(_parts, package=release.package)
    unpack(release.archive, folder, parts, release.architecture)
    if not (folder / "lib").exists():  # depmod and modprobe look there
        (folder / "lib").symlink_to("usr/lib")
    subprocess.run(["depmod", "-b", folder, Kernel(folder).version], check=True)


def _parts(apt: Path, package: str) -> list[str]:
    """The packages with the image and its modules that a package without files depends on."""
    asked = ["apt-cache", "depends", "--recurse", "--important", package]
    environment = {"APT_CONFIG": str(apt)}
    told = subprocess.run(asked, capture_output=True, text=True, check=True, env=environment)
    return sorted(set(PARTS.findall(told.stdout)))


def unpack(
    archive: Archive,
    folder: Path,
    names: Callable[[Path], list[str]],
    architecture: str = "amd64",
) -> None:
    """The files of the packages that `names` tells of an apt configured for the archive."""
    with tempfile.TemporaryDirectory() as work:
        apt = _configure(archive, Path(work), architecture)
        environment = {"APT_CONFIG": str(apt), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=environment)
        download = ["apt-get", "download", "-qq", *names(apt)]
        subprocess.run(download, check=True, env=environment, cwd=work)
        for package in Path(work).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True)


def _configure(archive: Archive, work: Path, architecture: str) -> Path:
    """A configuration of apt that knows this archive alone, and keeps all that it has in `work`."""
    for name in ("lists/partial", "cache/archives/partial", "none"):
        (work / name).mkdir(parents=True)
    (work / "status").touch()
    source = f"deb [signed-by={archive.keyring}] {archive.mirror} {archive.suite} main\n"
    (work / "sources.list").write_text(source)
    settings = {
        "Dir::State::status": work / "status",
        "Dir::State::lists": work / "lists",
        "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": work / "none",
        "APT::Architecture": architecture,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    (apt := work / "apt.conf").write_text(
        "".join(f'{key} "{value}";\n' for key, value in settings.items())
    )
    return apt

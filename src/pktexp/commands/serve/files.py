"""The files that options name, in one list that `serve` and `check` read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pktexp.commands.serve.reload import Read, Reloader
from pktexp.flows.networks import NamedNetworks
from pktexp.settings import Settings
from pktexp.web.security import Security

WEB, NETWORKS = "web", "networks"  # purposes of files


class File(NamedTuple):
    """A file by its purpose; `read` raises PktexpError if it, or a file it names, is wrong."""

    purpose: str
    path: Path
    read: Read


@dataclass(frozen=True)
class Files:
    """The operator's files, in force once they are read; `networks` is None without --networks."""

    reloader: Reloader
    security: Security
    networks: NamedNetworks | None


def declared(settings: Settings) -> tuple[Files, list[File]]:
    """Return the files that the settings name, none of them read."""
    security = Security(settings.web_config)
    networks = NamedNetworks(settings.networks) if settings.networks else None
    return Files(Reloader(), security, networks), list(_named(settings, security, networks))


def read_files(settings: Settings) -> Files:
    """Read all files that the settings name. Raises PktexpError if one is wrong."""
    files, named = declared(settings)
    for file in named:
        files.reloader.add(file.purpose, file.read)
    return files


def _named(
    settings: Settings, security: Security, networks: NamedNetworks | None
) -> Iterator[File]:
    if settings.web_config:
        yield File(WEB, settings.web_config, security.read)
    if settings.networks and networks:
        yield File(NETWORKS, settings.networks, networks.read)

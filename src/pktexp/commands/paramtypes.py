"""Types of option values that click does not have."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

import click
from click.shell_completion import CompletionItem

from pktexp.bpf.ingressrules import IngressMode, IngressRule
from pktexp.packet import labels
from pktexp.packet.enums import Tunnel

UNITS = {"K": 10, "M": 20, "G": 30}
RESERVED = ("/healthz", "/readyz", "/api", "/page")


class OneOf(click.Choice[str]):
    """A member of an enumeration, given by its value in any case."""

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__([member.value for member in members], case_sensitive=False)
        self._members = members

    def convert(self, value: Any, param: Any, ctx: Any) -> StrEnum:
        """Return the member. Raises click's usage error if there is none."""
        return self._members(super().convert(value, param, ctx))


class Ingress(click.ParamType[IngressRule]):
    """An ingress mode, or a glob of interfaces and their ingress mode: eth*=xdp."""

    name = "ingress"
    choices = tuple(mode.value for mode in IngressMode)

    def convert(self, value: Any, param: Any, ctx: Any) -> IngressRule:
        """Return the rule. Raises click's usage error if the mode is unknown or the glob empty."""
        glob, equals, mode = value.rpartition("=")
        if mode.lower() not in self.choices:
            known = ", ".join(self.choices)
            self.fail(f"'{mode}' is not one of: {known} (or GLOB=one of these)", param, ctx)
        if equals and not glob:
            self.fail(f"'{value}' has no glob of interfaces before '='", param, ctx)
        return IngressRule(IngressMode(mode.lower()), glob)

    def shell_complete(self, _: Any, __: Any, incomplete: str) -> list[CompletionItem]:
        """Return the modes that begin with what is behind the last equals sign."""
        glob, equals, mode = incomplete.rpartition("=")
        found = (choice for choice in self.choices if choice.startswith(mode))
        return [CompletionItem(f"{glob}{equals}{choice}") for choice in found]


class PowerOfTwo(click.ParamType[int]):
    """A power of two from `least` to `most`, as the kernel requires for sizes of rings and maps."""

    name = "number"

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return the number. Raises click's usage error if it is not such a power of two."""
        try:
            number = int(value)
        except ValueError:
            self.fail(f"'{value}' is not a number", param, ctx)
        if not self.least <= number <= self.most or number & (number - 1):
            self.fail(
                f"{number} is not a power of two from {self.least} to {self.most}", param, ctx
            )
        return number


class MemorySize(click.ParamType[int | None]):
    """Memory in bytes, given with a unit, from `least` to `most`; "auto" is None."""

    name = "size"

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most

    def convert(self, value: Any, param: Any, ctx: Any) -> int | None:
        """Return the number of bytes. Raises click's usage error if it is not such a size."""
        if value == "auto":
            return None
        if not (found := re.fullmatch(r"(\d+) ?([KMG])iB", str(value), re.IGNORECASE)):
            self.fail(
                f"'{value}' is not auto or a size with a unit, such as 32MiB: it is the memory "
                "for all CPUs (earlier versions took flows a CPU; 16384 of them are 2MiB a CPU)",
                param,
                ctx,
            )
        size = int(found[1]) << UNITS[found[2].upper()]
        if not self.least <= size <= self.most:
            span = f"{self.least >> 10}KiB to {self.most >> 30}GiB"
            self.fail(f"{value} is not a size from {span}", param, ctx)
        return size


class UrlPath(click.ParamType[str]):
    """The path of a page."""

    name = "path"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the path. Raises click's usage error if it is malformed or reserved."""
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", value):
            self.fail(f"'{value}' is not a path such as /metrics", param, ctx)
        if (first := f"/{value.split('/')[1]}") in RESERVED:
            self.fail(f"'{first}' is reserved", param, ctx)
        return str(value)


class Tunnels(click.ParamType[frozenset[Tunnel]]):
    """Names of tunnels separated by commas, or "all"."""

    name = "kinds"

    def convert(self, value: Any, param: Any, ctx: Any) -> frozenset[Tunnel]:
        """Return the tunnels. Raises click's usage error if a name is unknown."""
        if isinstance(value, frozenset):
            return value
        known = {name: tunnel for tunnel, name in labels.TUNNELS.items()}
        wanted = {name.strip().lower() for name in value.split(",") if name.strip()}
        if wanted == {"all"}:
            return frozenset(Tunnel)
        if unknown := sorted(wanted - known.keys()):
            self.fail(f"'{unknown[0]}' is not one of: all, {', '.join(known)}", param, ctx)
        return frozenset(known[name] for name in wanted)

"""Attaching to one interface in several directions; for interfaces.py, by kernel/hooks.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pktexp.bpf.hookchoice import IngressMode
from pktexp.bpf.hooks import Hooks
from pktexp.netlink.linkinfo import Link
from pktexp.packet.enums import Direction


@dataclass
class Attached:
    """`hooks`: of the directions where one could be had; `refusals`: why not of the others.

    `fallbacks`: why a hook is not the best.
    """

    hooks: dict[Direction, str]
    refusals: list[str] = field(default_factory=list)
    fallbacks: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Where, and why there."""
        why = f" ({'; '.join(self.fallbacks)})" if self.fallbacks else ""
        return f"{', '.join(self.hooks.values())}{why}"


@dataclass(frozen=True)
class Attacher:
    """What the operator wants of every interface."""

    hooks: Hooks
    ingress: IngressMode
    directions: Sequence[Direction]

    def attach(self, link: Link, had: Mapping[Direction, str]) -> Attached:
        """In those directions where there is no hook yet."""
        attached = Attached(dict(had))
        for direction in [d for d in self.directions if d not in had]:
            try:
                hook, fallback = self.hooks.attach(link, direction, self.ingress)
            except OSError as error:
                refusal = f"{direction.name.lower()} not counted: {error}"
                attached.refusals.append(refusal)
            else:
                attached.hooks[direction] = hook
                attached.fallbacks += [fallback] if fallback else []
        return attached

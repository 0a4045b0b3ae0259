"""Attaches the programs to one interface, in each direction that is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pktexp.bpf.hookchoice import IngressMode
from pktexp.bpf.hooks import Hooks
from pktexp.netlink.linkinfo import Link
from pktexp.packet.enums import Direction


@dataclass
class Attached:
    """The outcome of attaching to an interface.

    `hooks`: by direction, where attaching succeeded; `refusals`: the reasons of the other
    directions; `fallbacks`: why a hook is not the preferred one.
    """

    hooks: dict[Direction, str]
    refusals: list[str] = field(default_factory=list)
    fallbacks: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The hooks, and the reasons for fallbacks, for a log line."""
        why = f" ({'; '.join(self.fallbacks)})" if self.fallbacks else ""
        return f"{', '.join(self.hooks.values())}{why}"


@dataclass(frozen=True)
class Attacher:
    """Attaches as the operator's options say, the same for every interface."""

    hooks: Hooks
    ingress: IngressMode
    directions: Sequence[Direction]

    def attach(self, link: Link, had: Mapping[Direction, str]) -> Attached:
        """Attach in the directions missing from `had`, the hooks that are there already."""
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

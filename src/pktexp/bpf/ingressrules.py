"""The operator's choice of the ingress hook (--ingress), by interface."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class IngressMode(StrEnum):
    """The ingress hooks that may be tried."""

    AUTO = "auto"
    XDP = "xdp"
    XDP_NATIVE = "xdp-native"
    XDP_GENERIC = "xdp-generic"
    TCX = "tcx"


class IngressRule(NamedTuple):
    """One value of --ingress: the mode of the interfaces that a glob matches.

    Without a glob it is the default of the interfaces that no glob matches.
    """

    mode: IngressMode = IngressMode.AUTO
    glob: str = ""

    @property
    def text(self) -> str:
        """The value as the operator writes it."""
        return f"{self.glob}={self.mode}" if self.glob else str(self.mode)


class IngressRules:
    """Every value of --ingress. The last one that fits an interface is in force."""

    def __init__(self, rules: Iterable[IngressRule] = ()) -> None:
        last_first = list(rules)[::-1]
        self._globs = [rule for rule in last_first if rule.glob]
        self._default = next((rule for rule in last_first if not rule.glob), IngressRule())

    def of(self, name: str) -> IngressRule:
        """Return the rule of an interface; globs go before a default, wherever it stands."""
        fitting = (rule for rule in self._globs if fnmatch.fnmatchcase(name, rule.glob))
        return next(fitting, self._default)

    def idle(self, names: Iterable[str]) -> list[str]:
        """Return the values whose glob matches none of `names`, in the order they were given."""
        known = list(names)
        return [r.text for r in self._globs[::-1] if not fnmatch.filter(known, r.glob)]

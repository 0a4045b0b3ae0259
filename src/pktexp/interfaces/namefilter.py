"""Selects interfaces by globs over their names."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence


class NameFilter:
    """Matches names of wanted interfaces: included, and not excluded."""

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        """Take every interface if `include` is empty."""
        self.include = tuple(include)
        self.exclude = tuple(exclude)

    def __call__(self, name: str) -> bool:
        """Return whether an interface of this name is wanted."""
        return not self.why_not(name)

    def why_not(self, name: str) -> str:
        """Return why an interface of this name is not wanted; "" if it is wanted."""
        if _any_match(name, self.exclude):
            return "excluded by --exclude-interfaces"
        chosen = not self.include or _any_match(name, self.include)
        return "" if chosen else "not among --interfaces"

    def idle(self, names: Sequence[str]) -> list[str]:
        """Return the globs of either kind that match none of `names`."""
        return [g for g in self.include + self.exclude if not fnmatch.filter(names, g)]


def _any_match(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)

"""Which interfaces are wanted, by globs over their names; for interfaces.py."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence


class NameFilter:
    """Which interfaces are wanted, by globs over their names."""

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        """No `include` means every interface."""
        self.include = tuple(include)
        self.exclude = tuple(exclude)

    def __call__(self, name: str) -> bool:
        """Whether an interface of this name is wanted."""
        wanted = not self.include or _any_match(name, self.include)
        return wanted and not _any_match(name, self.exclude)

    def idle(self, names: Sequence[str]) -> list[str]:
        """Globs of either kind that match none of `names`."""
        return [g for g in self.include + self.exclude if not fnmatch.filter(names, g)]


def _any_match(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)

"""Write the tables of docs/configuration.md from the options of the commands and the drivers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from pktexp.bpf.xdpdrivers import EFFECTS, QUIET
from pktexp.commands.main import cli, serve
from pktexp.commands.paramtypes import Ingress, PowerOfTwo

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
HEAD = "| option | variables | default | meaning |\n|---|---|---|---|\n"
EFFECTS_HEAD = "| drivers | native XDP |\n|---|---|\n"


def filled(page: str) -> str:
    """Return the page with a table between each pair of marks, such as `<!-- serve -->`.

    Raises ValueError if a mark is missing.
    """
    for name, command in cli.commands.items():
        table = "".join(rows(command))
        page = _replaced(page, name, HEAD + table if table else "")
    page = _replaced(page, "quiet", f"{_names(QUIET)}\n")
    return _replaced(page, "effects", EFFECTS_HEAD + "".join(effects()))


def effects() -> Iterator[str]:
    """Yield a line per effect of native XDP, with the drivers that share it."""
    drivers: dict[str, list[str]] = defaultdict(list)
    for name, effect in EFFECTS.items():
        drivers[effect].append(name)
    for effect, names in drivers.items():
        yield f"| {_names(names)} | {effect} |\n"


def rows(command: click.Command) -> Iterator[str]:
    """Yield a line per option; options shared with serve are only in the table of serve."""
    shared = {parameter.name for parameter in serve.params} if command is not serve else set()
    for option in command.params:
        if isinstance(option, click.Option) and option.name not in shared:
            cells = (_flags(option), _variables(option), _default(option), _meaning(option))
            yield f"| {' | '.join(cells)} |\n"


def _replaced(page: str, name: str, text: str) -> str:
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, rest = page.split(start)
    _, after = rest.split(end)
    return before + start + text + end + after


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _flags(option: click.Option) -> str:
    number = isinstance(option.type, click.IntRange | PowerOfTwo)
    value = "" if option.is_flag else f" {option.metavar or ('N' if number else 'NAME')}"
    return ", ".join([f"`{option.opts[0]}{value}`", *(f"`{o}`" for o in option.secondary_opts)])


def _variables(option: click.Option) -> str:
    names = [option.envvar] if isinstance(option.envvar, str) else option.envvar or ()
    return ", ".join(f"`{name}`" for name in names) or "-"


def _default(option: click.Option) -> str:
    if isinstance(option.default, bool):
        return "on" if option.default else "off"
    if isinstance(option.default, tuple):
        return ", ".join(f"`{each}`" for each in option.default)
    shown = isinstance(option.default, str | int) and option.default != ""
    return f"`{option.default}`" if shown else "-"


def _meaning(option: click.Option) -> str:
    kind = option.type
    values = ""
    if isinstance(kind, click.Choice | Ingress):
        values = " One of " + ", ".join(f"`{choice}`" for choice in kind.choices) + "."
    elif isinstance(kind, click.IntRange):
        values = f" From {kind.min} to {kind.max}."
    elif isinstance(kind, PowerOfTwo):
        values = f" A power of two from {kind.least} to {kind.most}."
    return f"{option.help}{values}"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")

"""Text for terminals: aligned tables, escaped control characters, and any output encoding.

Names of interfaces, aliases, and answers of a remote service may contain escape sequences or line
breaks. All text that a command prints passes through `table` or errors.escaped, except JSON and
Prometheus text.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence

import click

from pktexp.errors import escaped

GAP = "  "


def table(
    rows: Iterable[Sequence[str]], right: Collection[int] = (), margin: str = ""
) -> list[str]:
    """Return a line per row, without trailing blanks; each column is as wide as its widest cell.

    `right` has the numbers of the columns aligned to the right, from 0. Headings are a row.
    """
    cells = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [(margin + GAP.join(_padded(line, widths, right))).rstrip() for line in cells]


def echo(text: str) -> None:
    """Print to standard output; characters that its encoding lacks become backslash escapes."""
    click.echo(text.encode(sys.stdout.encoding, "backslashreplace"), nl=False)


def _padded(cells: Sequence[str], widths: Sequence[int], right: Collection[int]) -> list[str]:
    return [
        cell.rjust(width) if number in right else cell.ljust(width)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]

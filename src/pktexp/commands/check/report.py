"""What was found out (checkrows.py) as text: a table for people, or JSON; for cli.py."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter

from pktexp import __version__
from pktexp.commands.check.rows import Checked, Row

HEAD = ("name", "kind", "class", "driver", "ingress", "egress", "why")
NOTHING = "-"
MARGIN = "  "


def document(checked: Checked) -> str:
    """One JSON object, in ASCII."""
    found = {
        "version": __version__,
        "works": checked.works,
        "checks": [asdict(row) for row in checked.rows],
        "interfaces": [dict(zip(HEAD, place, strict=True)) for place in checked.places],
    }
    return json.dumps(found, indent=2) + "\n"


def table(checked: Checked) -> str:
    """Sections of aligned columns, and a sentence that sums them up."""
    return "\n".join([*_lines(checked), _verdict(checked)]) + "\n"


def _lines(checked: Checked) -> Iterator[str]:
    width = max(len(_shown(row.name)) for row in checked.rows)
    for section, rows in groupby(checked.rows, attrgetter("section")):
        yield section
        for remedy, alike in groupby(rows, attrgetter("remedy")):
            yield from (_row(row, width) for row in alike)
            if remedy:
                yield f"{MARGIN}{'':7}  {'':{width}}  -> {remedy}"
        yield ""
    if checked.places:
        yield from _aligned([HEAD, *checked.places])
        yield ""


def _row(row: Row, width: int) -> str:
    return f"{MARGIN}{row.state:7}  {_shown(row.name):{width}}  {_shown(row.detail)}".rstrip()


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    cells = [[_shown(cell) or NOTHING for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        yield (MARGIN + MARGIN.join(padded)).rstrip()


def _verdict(checked: Checked) -> str:
    if checked.works:
        return "pktexp serve would work with these options."
    lacking = ", ".join(row.name for row in checked.lacking)
    return f"pktexp serve would NOT work with these options, for want of: {lacking}"


def _shown(text: str) -> str:
    """Without what would steer a terminal: an interface's name may have it."""
    return text if text.isprintable() else ascii(text)[1:-1]

"""Format the result of `pktexp check`: a table, or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter, itemgetter

from pktexp import __version__
from pktexp.commands import terminal
from pktexp.commands.check.findings import Checked, Finding

HEAD = ("name", "kind", "class", "driver", "ingress", "egress", "why")
NOTHING = "-"
MARGIN = "  "
STATE_WIDTH = 7  # of "unknown", the longest state

Row = tuple[str, str, str]
"""a finding's state, name and detail; or a remedy, in the last column"""


def document(checked: Checked) -> str:
    """Return one JSON object, in ASCII."""
    found = {
        "version": __version__,
        "works": checked.works,
        "checks": [asdict(finding) for finding in checked.findings],
        "interfaces": [dict(zip(HEAD, place, strict=True)) for place in checked.places],
    }
    return json.dumps(found, indent=2) + "\n"


def table(checked: Checked) -> str:
    """Return aligned sections of findings, the interfaces, and the verdict in the last line."""
    parts = [*_sections(checked.findings)]
    if checked.places:
        rows = [HEAD, *([cell or NOTHING for cell in place] for place in checked.places)]
        parts += [*terminal.table(rows, margin=MARGIN), ""]
    return "\n".join([*parts, _verdict(checked)]) + "\n"


def _sections(findings: Sequence[Finding]) -> Iterator[str]:
    """All sections are one table, so that their columns are aligned."""
    sections, rows = zip(*_rows(findings), strict=True)
    placed = zip(sections, terminal.table(rows, margin=MARGIN), strict=True)
    for section, lines in groupby(placed, itemgetter(0)):
        yield section
        yield from (line for _, line in lines)
        yield ""


def _rows(findings: Sequence[Finding]) -> Iterator[tuple[str, Row]]:
    """Yield section and row; neighbours with the same remedy share one row for it."""
    for (section, remedy), alike in groupby(findings, attrgetter("section", "remedy")):
        for finding in alike:
            yield section, (f"{finding.state:{STATE_WIDTH}}", finding.name, finding.detail)
        if remedy:
            yield section, ("", "", f"-> {remedy}")


def _verdict(checked: Checked) -> str:
    if checked.works:
        return "pktexp serve would work with these options."
    missing = ", ".join(finding.name for finding in checked.missing)
    return f"pktexp serve would NOT work with these options, missing: {missing}"

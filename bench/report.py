"""What every bench prints: a Markdown table of medians, and its place in docs/performance.md."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def architecture() -> str:
    """As uname tells it."""
    return os.uname().machine


def machine() -> str:
    """One line on where the figures come from."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = model[1] if model else architecture()
    return f"{name}, {os.cpu_count()} CPUs, Linux {os.uname().release}"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown, its columns aligned: the first to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = ["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])]
    return "\n".join(
        "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |"
        for row in [cells[0], rule, *cells[1:]]
    )


def publish(section: str, text: str, only_print: bool = False, page: Path = PAGE) -> None:
    """Print `text`, and put it between the page's marks of this name; KeyError without them."""
    print(text)
    if only_print:
        return
    begin, end = f"<!-- {section} -->\n", f"<!-- /{section} -->"
    before, found, rest = page.read_text().partition(begin)
    if not found or end not in rest:
        raise KeyError(f"{page} has no place for '{section}'")
    page.write_text(f"{before}{begin}{text.strip()}\n{end}{rest.partition(end)[2]}")

"""A table of Markdown by columns, and the sections below it; a page can be written in parts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Self

Column = dict[str, str]


@dataclass
class Report:
    """Columns of a table by name, each with cells by row, and a section of notes for some."""

    columns: dict[str, Column] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, page: str) -> Self:
        """Return the table of a page, and its sections."""
        body, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
        lines = [line for line in body.splitlines() if line.startswith("|")]
        (_, *names), _, *rows = [_cells(line) for line in lines] if lines else ([""], [])
        columns = {
            name: {row: cells[n] for row, *cells in rows if cells[n] != "-"}
            for n, name in enumerate(names)
        }
        notes = dict(section.split("\n\n", 1) for section in sections)
        return cls(columns, notes)

    def update(self, other: Self) -> None:
        """Take the columns of another instead of those of the same names."""
        self.columns |= other.columns
        kept = {name: text for name, text in self.notes.items() if name not in other.columns}
        self.notes = kept | other.notes

    def table(self, names: list[str]) -> str:
        """Return the table with columns in this order."""
        columns = [self.columns[name] for name in names]
        rows = dict.fromkeys(row for column in columns for row in column)
        lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
        for row in rows:
            cells = (column.get(row, "-") for column in columns)
            lines.append(f"| {row} | {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"

    def sections(self, names: list[str]) -> str:
        """Return the sections of notes in this order."""
        told = ((name, self.notes[name]) for name in names if name in self.notes)
        return "".join(f"\n## {name}\n\n{text.strip()}\n" for name, text in told)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]

"""The example of docs/check.md, against the texts of the command."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/check.md"
ROW = re.compile(r"^  (?:yes|no) +(\S+(?: \S+)*)  +(.+)$", re.MULTILINE)
# Rows whose detail is put together, or of the machine.
VARIABLE = (
    "drop reasons",
    "retransmissions",
    "libbpf",
    "release",
    "BPF object",
    "memory",
    "address",
    "netlink",
    "room",
)


def texts() -> Iterator[str]:
    for source in (ROOT / "src/pktexp").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_example_has_the_rows_of_the_command() -> None:
    found, known = ROW.findall(PAGE.read_text("utf-8")), set(texts())
    assert len(found) > 12
    for name, detail in found:
        assert name in known or name.startswith("CAP_"), f"no row is named '{name}'"
        assert detail in known or name in VARIABLE, f"'{name}' does not say '{detail}'"

"""docs/kernels.md, out of what the runs left: smoke.json (smoke.py) and pytest's junit.xml."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from kernels.report import Report

NUMBER = re.compile(r"\d+")
PAGE = Path(__file__).parents[2] / "docs" / "kernels.md"
CHECKS = (
    "BTF",
    "ring buffer",
    "multi-buffer XDP",
    "TCX",
    "drop reasons",
    "retransmissions",
    "BPF programs",
)
OUTCOMES = ("passed", "failed", "skipped")
HEAD = """\
# Kernels

What works in which kernel, as found by `{command}`, which writes this page: the kernels of
distributions, emulated, and that of the machine that emulates, with chosen tests of `tests/kernel`.
Kernels before 5.15 are shown for what they say; pktexp is not made for them.

"""


@dataclass(frozen=True)
class Run:
    """What one kernel did; `folder` is the one that was shared with it."""

    name: str
    origin: str
    folder: Path

    def smoke(self) -> dict[str, Any]:
        """What smoke.py told; nothing if it did not come to its end."""
        try:
            told: dict[str, Any] = json.loads((self.folder / "smoke.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return told

    def tests(self) -> list[tuple[str, str, str]]:
        """(name, one of OUTCOMES, why) of each test."""
        if not (report := self.folder / "junit.xml").exists():
            return []
        return [_outcome(case) for case in ElementTree.parse(report).iter("testcase")]


def _outcome(case: ElementTree.Element) -> tuple[str, str, str]:
    name = case.get("name", "").split("[")[0]
    for child in case:
        if child.tag in ("failure", "error", "skipped"):
            outcome = "skipped" if child.tag == "skipped" else "failed"
            return name, outcome, child.get("message", "").splitlines()[0]
    return name, "passed", ""


def report(runs: list[Run], date: str) -> Report:
    """Return a column of each kernel, and what its run said beside."""
    columns = {run.name: dict(_rows(run, date)) for run in runs}
    return Report(columns, {run.name: text for run in runs if (text := "".join(_notes(run)))})


def written(found: Report, command: str) -> str:
    """Return the page's text, the oldest kernel first."""
    names = sorted(found.columns, key=lambda name: [int(part) for part in NUMBER.findall(name)])
    return HEAD.format(command=command) + found.table(names) + found.sections(names)


def _rows(run: Run, date: str) -> Iterator[tuple[str, str]]:
    told = run.smoke()
    checks = {check["name"]: check for check in told.get("check", {}).get("checks", ())}
    yield "run on", date
    yield "from", run.origin
    yield "release", checks["release"]["detail"] if checks else "-"
    for name in CHECKS:
        yield name, checks[name]["state"] if name in checks else "-"
    yield from _counting(told)
    if tests := run.tests():
        counts = Counter(outcome for _, outcome, _ in tests)
        yield from ((f"tests {outcome}", str(counts[outcome])) for outcome in OUTCOMES)


def _counting(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if service := told.get("service"):
        for direction, hook in service["hooks"].items():
            yield f"{direction} of a veth", hook
        yield "packets counted", f"{service['counted']} of {service['sent']}"
    for mtu, hook in told.get("xdp", {}).items():
        yield f"`--ingress xdp-native`, {mtu} frames", hook


def _notes(run: Run) -> Iterator[str]:
    """Return why pktexp did not start, and why tests did not pass."""
    told = run.smoke()
    if error := told.get("error", "" if told else "it did not come to its end"):
        yield f"{error}\n"
    notes = Counter(test for test in run.tests() if test[1] != "passed")
    for (name, outcome, why), number in notes.items():
        yield f"- `{name}` ({number}) {outcome}: {why}\n"

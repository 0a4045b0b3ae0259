"""Each bench runs, measures something, and says what it would publish."""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path

import pytest

from support.patience import finished

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "performance.md"

# Bench: lines that its table has in a short run.
EXPECTED = {
    "datapath": ("v4 64 B, 1,000 uniform",),
    "cgroups": ("ingress", "egress", "mean of both"),
    "throughput": ("an empty program", "pktexp --events packet", "pktexp --events flow", "65,000"),
    "scrape": ("100 flows", "10 interfaces"),
    "newflows": ("1,000",),
    "pod": ("sidecar, 1 interface, 1,000 flows",),
    "start": ("1 interface", "250 interfaces"),
    "watching": ("10 interfaces",),
    "idle": ("128", "256"),
    "memory": ("heap, stacks and Python's objects", "code of modules", "sum"),
    "drops": ("not counted", "drops.bpf.o"),
    "grace": ("membarrier", "update of a map of maps"),
    "impact": ("nothing attached", "empty program", "pktexp --flows off"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_short_run_prints_a_table_and_keeps_the_page(name: str) -> None:
    page = PAGE.read_bytes()
    done = finished(
        [sys.executable, f"bench/{name}.py", "--quick"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "tests:bench"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line[:1] == "|"]
    assert set(EXPECTED[name]) <= set(rows)
    assert PAGE.read_bytes() == page


@pytest.mark.parametrize("name", EXPECTED)
def test_page_has_the_results_of_a_whole_run(name: str) -> None:
    section = PAGE.read_text().partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]
    assert all(row in section for row in EXPECTED[name])


def test_all_benches_with_a_recipe_are_run_by_bench_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "bench")
    every = importlib.import_module("all").NAMES
    recipes = set(re.findall(r'(?m)^bench-\S+ .*\(bench "(\w+)"', (ROOT / "justfile").read_text()))
    assert set(every) == recipes - {"all", "compare"} == set(EXPECTED)


def test_quick_run_of_all_benches_is_on_the_page() -> None:
    section = PAGE.read_text().partition("<!-- all -->")[2].partition("<!-- /all -->")[0]
    assert all(f"**{name}**" in section for name in EXPECTED)

"""A short soak; docs/reliability.md has a long one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from support.patience import finished

ROOT = Path(__file__).parents[2]


def test_short_soak_loses_nothing_and_keeps_the_page() -> None:
    page = (ROOT / "docs" / "reliability.md").read_bytes()
    done = finished(
        [sys.executable, "bench/soak.py", "--quick"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "tests:bench"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    for name in ("unaccounted packets", "failures of its own"):
        assert [name, "0", "0", "0"] in rows, done.stdout
    assert (ROOT / "docs" / "reliability.md").read_bytes() == page

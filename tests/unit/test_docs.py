"""What the documentation lists, against the code."""

from __future__ import annotations

import re
from pathlib import Path

from pktexp.cli import serve

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"\b(?:pktexp|total)_[a-z_]+\b")


def test_the_readme_lists_every_option_with_its_default() -> None:
    readme = (ROOT / "README.md").read_text()
    for option in serve.params:
        flag = option.opts[0]
        row = next((line for line in readme.splitlines() if line.startswith(f"| `{flag}")), "")
        assert row, f"{flag} is missing"
        if type(option.default) is int:
            assert f" {option.default} " in row, row


def test_every_family_of_the_code_is_documented() -> None:
    documented = set(NAME.findall((ROOT / "docs" / "metrics.md").read_text()))
    for source in (
        "metrics.py",
        "packetmetrics.py",
        "infometrics.py",
        "selfmetrics.py",
        "web/app.py",
    ):
        quoted = re.findall(r'"(pktexp_\w+|total_\w+)"', (ROOT / "src/pktexp" / source).read_text())
        for name in quoted:
            assert {name, f"{name}_total"} & documented, f"{name} is not in docs/metrics.md"

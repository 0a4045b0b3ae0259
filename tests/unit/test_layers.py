"""The layers of pyproject.toml hold, and an import that runs upwards is found."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.patience import finished

ROOT = Path(__file__).parents[2]


def lint(source: Path) -> subprocess.CompletedProcess[str]:
    """Check the imports of the package in `source` by the contracts of pyproject.toml."""
    return finished(
        ["lint-imports", "--config", ROOT / "pyproject.toml", "--no-cache"],
        env=os.environ | {"PYTHONPATH": str(source)},
        cwd=source,
        capture_output=True,
    )


def test_imports_run_downwards_and_in_no_circle() -> None:
    checked = lint(ROOT / "src")
    assert checked.returncode == 0, checked.stdout
    assert "2 kept, 0 broken" in checked.stdout


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("packet/labels.py", "from pktexp.metrics import figures"),  # upwards
        ("flows/table.py", "from pktexp.pipeline import running"),  # upwards
        ("packet/enums.py", "from pktexp.packet import labels"),  # in a circle
        ("brand_new.py", ""),  # without a layer
    ],
)
def test_wrong_import_is_found(tmp_path: Path, module: str, imported: str) -> None:
    shutil.copytree(ROOT / "src" / "pktexp", tmp_path / "pktexp")
    file = tmp_path / "pktexp" / module
    text = file.read_text() if file.exists() else '"""New."""\n'
    file.write_text(f"{text}\n{imported}\n")
    assert lint(tmp_path).returncode == 1

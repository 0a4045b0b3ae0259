"""The image's lock, against what PyPI has for each architecture."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.patience import finished

LOCK = str(Path(__file__).parents[2] / "deploy/container/requirements.lock")


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_the_lock_has_wheels_for_both_architectures(architecture: str, tmp_path: Path) -> None:
    target = f"--target={tmp_path} --python-platform={architecture}-manylinux_2_28"
    options = "--python-version=3.13 --only-binary=:all: --no-deps --require-hashes --dry-run"
    command = ["uv", "pip", "install", *target.split(), *options.split(), "--requirement", LOCK]
    done = finished(command, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "numpy==" in done.stderr

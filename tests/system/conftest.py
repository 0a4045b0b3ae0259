"""The Debian package, for all tests that install it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from support.patience import finished

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deb")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    build = [ROOT / "packaging" / "deb", folder]
    finished(build, check=True, capture_output=True, env=os.environ | {"PATH": path})
    (built,) = folder.glob("pktexp_*.deb")
    return built

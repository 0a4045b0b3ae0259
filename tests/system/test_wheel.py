"""The wheel, built here and installed elsewhere: it needs neither clang nor headers to serve."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from support.netns.namespace import Namespace
from support.packets.cases import ETHER, V4
from support.patience import finished, wait_for
from support.service.process import serving, total

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    finished(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("pktexp-*.whl")
    return built


def test_the_wheel_carries_objects_page_types_and_licences(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    objects = {
        f"{name}.bpf.o" for name in ("packet", "drops", "retransmits", "cgroups", "cgroupdrops")
    }
    others = {"commands/main.py", "web/openapi.json", "py.typed"}
    page = {"index.html", "main.js", "vendor/uPlot.iife.min.js", "vendor/uPlot.LICENSE"}
    assert {f"pktexp/web/page/{name}" for name in page} <= names
    assert {f"pktexp/{name}" for name in objects | others} <= names
    licences = {Path(name).name for name in names if "/licenses/" in name}
    assert licences == {"MIT.txt", "GPL-2.0-only.txt"}
    assert not [name for name in names if not name.startswith("pktexp")]


def test_the_wheel_serves_from_a_fresh_environment_without_a_compiler(
    wheel: Path, tmp_path: Path, pair: tuple[Namespace, Namespace]
) -> None:
    a, b = pair
    environment = tmp_path / "venv"
    finished([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    no_compiler = {**os.environ, "PATH": str(python.parent), "CC": "/bin/false"}
    pip = [str(python), "-m", "pip", "install", "--quiet", "--only-binary", ":all:", str(wheel)]
    finished(pip, check=True, env=no_compiler)
    with serving(b, "--interfaces", "vb", python=str(python)) as service:
        service.wait_until_attached("vb")
        a.send("va", [bytes(ETHER / V4)] * 5)
        wait_for(lambda: total(service.page(), "total_packets", interface="vb") == 5)

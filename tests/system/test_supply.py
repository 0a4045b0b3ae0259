"""What is shipped: the same bytes wherever it is built, a list of what is in it, and an audit."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.patience import finished

ROOT = Path(__file__).parent.parent.parent
LOCK = ROOT / "deploy" / "container" / "requirements.lock"
LOCKED = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK.read_text(), re.MULTILINE))
ADVISORY = {
    "id": "PYSEC-0000-1",
    "summary": "made for a test",
    "affected": [{"package": {"name": "aiohttp", "ecosystem": "PyPI"}}],
}


def just(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "just"), *arguments]
    return finished(command, cwd=ROOT, capture_output=True)


def build(folder: Path, umask: int) -> Path:
    """The wheel, from nothing but the sources, in a folder of this name."""
    made = shutil.ignore_patterns("*.o", "*.tmp", "__pycache__")
    for name in ("bpf", "src/pktexp", "LICENSES"):  # with the times and modes of now
        shutil.copytree(ROOT / name, folder / name, ignore=made, copy_function=shutil.copyfile)
    for name in ("README.md", "pyproject.toml", "hatch_build.py"):
        shutil.copyfile(ROOT / name, folder / name)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    environment = {**os.environ, "TZ": f"UTC{umask % 9}", "PYTHONHASHSEED": str(umask)}
    finished(command, cwd=folder, check=True, capture_output=True, umask=umask, env=environment)
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def sums(folder: Path) -> dict[str, str]:
    files = [*(folder / "src" / "pktexp").glob("*.bpf.o"), *(folder / "dist").iterdir()]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_objects_and_wheel_are_reproducible(tmp_path: Path) -> None:
    folders = tmp_path / "a", tmp_path / "another" / "place"
    for folder, umask in zip(folders, (0o022, 0o077), strict=True):
        build(folder, umask)
    first, second = map(sums, folders)
    assert len(first) == 6  # five objects and the wheel
    assert first == second


def test_the_bill_of_materials_has_each_locked_package_with_its_hashes(tmp_path: Path) -> None:
    file = tmp_path / "bom" / "pktexp.json"
    assert (done := just("sbom", str(file))).returncode == 0, done.stderr
    document = json.loads(file.read_text())
    assert document["bomFormat"] == "CycloneDX"
    assert document["metadata"]["component"]["name"] == "pktexp"
    components = {x["name"]: x for x in document["components"]}
    assert {name: x["version"] for name, x in components.items()} == LOCKED
    for component in components.values():
        assert component["externalReferences"][0]["hashes"]


@pytest.fixture
def advisories() -> Iterator[str]:
    """The address of a database that knows ADVISORY alone."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = {"vulns": [ADVISORY]} if question["package"]["name"] == "aiohttp" else {}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_package_with_an_advisory_fails_the_audit(advisories: str, tmp_path: Path) -> None:
    options = ("--vulnerability-service", "osv", "--osv-url", advisories)
    done = just("audit", *options, "--cache-dir", str(tmp_path))
    assert done.returncode == 1
    assert re.search(rf"aiohttp +{re.escape(LOCKED['aiohttp'])} +PYSEC-0000-1", done.stdout)
    assert "Found 1 known vulnerability in 1 package" in done.stderr


def test_no_package_of_the_image_has_a_known_vulnerability(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = ("--format", "json", "--output", str(report))
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", *options]
    done = finished([*command, "--requirement", LOCK], capture_output=True)
    assert report.exists(), done.stderr
    rows = json.loads(report.read_text())["dependencies"]
    found = {row["name"]: row["vulns"] for row in rows if row.get("vulns")}
    assert not found, "just audit, then just lock"
    unknown = [row["name"] for row in rows if "skip_reason" in row]
    if len(unknown) == len(rows):
        pytest.skip("the index here tells no advisories: run `just audit` where pypi.org is")
    assert not unknown

"""The lock of the image's Python packages, against what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "deploy/container/requirements.lock").read_text()
LLVM = {"pylibbpf", "llvmlite"}
UPDATE = "just lock"

locked = dict(re.findall(r"^([a-z0-9.-]+)==([^ ]+)", LOCK, re.MULTILINE))


def test_every_dependency_but_those_with_llvm_is_locked_to_a_version_that_fits() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [Requirement(text) for text in project["dependencies"]]
    versions = {canonicalize_name(r.name): r.specifier for r in needed}
    assert versions.keys() - locked.keys() == {"pylibbpf"}, UPDATE
    for name in versions.keys() & locked.keys():
        assert locked[name] in versions[name], UPDATE
    assert not LLVM & locked.keys()


def test_every_package_has_hashes() -> None:
    packages = re.split(r"^(?=[a-z0-9.-]+==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(packages) == len(locked)
    assert all("--hash=sha256:" in package for package in packages)

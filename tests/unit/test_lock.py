"""The locks of Python packages against pyproject.toml: the image's, and the developers'."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
IMAGE, DEVELOPERS = "deploy/container/requirements.lock", "dev/requirements.lock"
LLVM = {"pylibbpf", "llvmlite"}
UPDATE = "just lock"

pyproject: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
project = pyproject["project"]


def packages(lock: str) -> dict[str, set[str]]:
    """Versions by name; a lock has several where they depend on the version of Python."""
    versions = defaultdict(set)
    for name, version in re.findall(r"^([a-z0-9.-]+)==([^ ]+)", (ROOT / lock).read_text(), re.M):
        versions[name].add(version)
    return versions


def unlocked(requirements: list[str], lock: str) -> set[str]:
    """Names of packages without a locked version that meets the requirement."""
    locked = packages(lock)
    needed = [Requirement(text) for text in requirements]
    fits = {r.name for r in needed if any(r.specifier.filter(locked[canonicalize_name(r.name)]))}
    return {r.name for r in needed} - fits


def test_the_image_locks_every_dependency_without_llvm() -> None:
    assert unlocked(project["dependencies"], IMAGE) == {"pylibbpf"}, UPDATE
    assert not LLVM & packages(IMAGE).keys()


def test_developers_lock_every_dependency_extra_and_tool() -> None:
    extras = [text for texts in project["optional-dependencies"].values() for text in texts]
    tools = pyproject["dependency-groups"]["dev"]
    assert not unlocked([*project["dependencies"], *extras, *tools], DEVELOPERS), UPDATE


def test_tests_run_with_the_versions_of_the_image() -> None:
    tested = packages(DEVELOPERS)
    others = {name: v for name, v in packages(IMAGE).items() if not v <= tested[name]}
    assert not others, UPDATE


@pytest.mark.parametrize("lock", [IMAGE, DEVELOPERS])
def test_every_locked_package_has_hashes(lock: str) -> None:
    entries = re.split(r"^(?=[a-z0-9.-]+==)", (ROOT / lock).read_text(), flags=re.M)[1:]
    assert len(entries) == sum(map(len, packages(lock).values()))
    assert all("--hash=sha256:" in entry for entry in entries)

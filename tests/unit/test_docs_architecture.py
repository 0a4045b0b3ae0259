"""docs/architecture.md, docs/design and CONTRIBUTING.md, against the tree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/pktexp"
PAGE = ROOT / "docs/architecture.md"
DESIGN = ROOT / "docs/design"
PAGES = [PAGE, ROOT / "CONTRIBUTING.md", *sorted(DESIGN.glob("*.md"))]
# Files and folders between backticks; the rest of the text is not looked at.
NAMED = re.compile(r"`([\w.-]+(?:/[\w.*-]+)*(?:\.(?:py|h|c|js|json|md|yml|sh)|/))`")
ROOTS = (ROOT, SOURCE, ROOT / "bpf", SOURCE / "web/page")


def test_architecture_has_at_most_1500_words() -> None:
    assert 500 < len(PAGE.read_text("utf-8").split()) <= 1500


def test_architecture_names_every_package() -> None:
    page = PAGE.read_text("utf-8")
    packages = [init.parent for init in SOURCE.glob("*/**/__init__.py")]
    assert len(packages) > 10
    for package in packages:
        name = package.relative_to(SOURCE).as_posix()
        assert f"`{name}/`" in page, f"{name}/ is not in {PAGE.name}"


def test_every_design_page_opens_with_its_conclusion_and_is_listed() -> None:
    index = (DESIGN / "README.md").read_text("utf-8")
    pages = [page for page in DESIGN.glob("*.md") if page.name != "README.md"]
    assert len(pages) > 10
    for page in pages:
        title, blank, opening, *_ = page.read_text("utf-8").splitlines()
        assert title.startswith("# ")
        assert not blank
        assert opening.startswith("**Conclusion.** "), page.name
        assert f"]({page.name})" in index, f"{page.name} is not in docs/design/README.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_pages_name_exist(page: Path) -> None:
    for name in NAMED.findall(page.read_text("utf-8")):
        assert any(any(root.glob(name)) for root in ROOTS), f"{name} does not exist"


def test_enough_names_of_files_are_found() -> None:
    names = {name for page in PAGES for name in NAMED.findall(page.read_text("utf-8"))}
    assert len(names) > 60
    assert {"bpf/ring.py", "packet.h", "flows/", "web/openapi.json"} <= names

"""docs/architecture.md stays one page that names every package."""

from __future__ import annotations

from pathlib import Path

from pktexp.packet.records import INTERFACE_COUNTERS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/pktexp"
PAGE = ROOT / "docs/architecture.md"
DESIGN = ROOT / "docs/design"


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


def test_counting_page_has_the_size_of_a_slot() -> None:
    page = (DESIGN / "counting.md").read_text("utf-8")
    size = INTERFACE_COUNTERS.itemsize
    assert f"{size:,} bytes" in page, "the size of a slot and direction"
    assert f"{2 * size:,} bytes" in page, "the size of a slot"

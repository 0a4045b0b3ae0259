"""Relative links in the documentation lead to files and headings that exist on GitHub."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.markdown import anchors, links

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def broken(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    return [target for target in links(page.read_text("utf-8")) if not resolves(page, target)]


def resolves(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists():
        return False
    return not anchor or file.suffix != ".md" or anchor in anchors(file.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_resolve(page: Path) -> None:
    assert broken(page) == []


def test_links_to_missing_files_and_headings_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Two `words`, here\n## Same\n## Same\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md#two-words-here) [b](other.md#same-1) [c](#here) [d](other.md)\n"
        "[e](other.md#same-2) [f](none.md) ![g](none.png) [h](#there) [i]\n\n[i]: gone.md\n"
        '<a id="set"></a> [j](#set) [k](https://example.com/x) <img src="none.svg">\n'
        "`[l](code.md)`\n```md\n[m](code.md)\n# there\n```\n"
    )
    missing = ["other.md#same-2", "none.md", "none.png", "#there", "gone.md", "none.svg"]
    assert broken(page) == missing

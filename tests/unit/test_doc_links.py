"""Relative links in the documentation lead to files and headings that exist on GitHub."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCED = re.compile(r"^( *)(```+|~~~+).*?^\1\2[`~]* *$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"(`+)(?:(?!\1|\n\n).)+\1", re.DOTALL)
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
INLINE = re.compile(r"\]\(<?([^()\s>]+)>?(?: +\"[^\"]*\")?\)")
REFERENCE = re.compile(r"^ {0,3}\[[^\]^]+\]: +<?([^\s>]+)", re.MULTILINE)
HTML = re.compile(r"<(?:a|img|source)\b[^>]*\b(?:href|src|srcset)=\"([^\" ]+)")
EXPLICIT = re.compile(r"<a\b[^>]*\b(?:id|name)=\"([^\"]+)\"")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def links(text: str) -> Iterator[str]:
    """Yield the relative targets of links and images outside of code."""
    prose = CODE.sub("", FENCED.sub("", text))
    for pattern in (INLINE, REFERENCE, HTML):
        for target in pattern.findall(prose):
            if not SCHEME.match(target):
                yield target


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings, and those that the page sets itself.

    GitHub keeps letters, digits, `_` and `-` of a heading's lower-case text, turns each space into
    a hyphen, and numbers repeated anchors from 1.
    """
    prose = FENCED.sub("", text)
    found, seen = set(EXPLICIT.findall(prose)), Counter[str]()
    for heading in HEADING.findall(prose):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


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

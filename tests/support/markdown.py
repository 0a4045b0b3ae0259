"""Links and anchors of Markdown pages, as GitHub renders them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

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

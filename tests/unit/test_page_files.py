"""The files of the live page: their content, and how they are served."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from pktexp.web.livepage import add_page

FOLDER = Path(str(files("pktexp.web"))) / "page"
# SHA-256 of the files in dist/ of uPlot 1.6.32.
RELEASED = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


@pytest.mark.parametrize("name", RELEASED)
def test_the_chart_library_matches_its_release(name: str) -> None:
    assert hashlib.sha256((FOLDER / "vendor" / name).read_bytes()).hexdigest() == RELEASED[name]


def test_page_files_reference_no_host_and_inject_no_html() -> None:
    for file in FOLDER.glob("*.*"):
        text = file.read_text()
        assert not re.search(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text), file.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", text)


async def test_only_page_files_are_served_typed_and_cacheable() -> None:
    app = web.Application()
    add_page(app, "/a&b")
    async with TestClient(TestServer(app)) as client:
        page = await client.get("/")
        assert 'href="./a&amp;b"' in await page.text()
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        for path, kind in (("main.js", "text/javascript"), ("vendor/uPlot.min.css", "text/css")):
            answer = await client.get(f"/page/{path}")
            assert (answer.status, answer.content_type) == (200, kind)
            tag = {"If-None-Match": answer.headers["ETag"]}
            assert (await client.get(f"/page/{path}", headers=tag)).status == 304
        for path in ("nothing.js", "vendor/uPlot.LICENSE", "..%2fapp.py", "vendor/../../app.py"):
            assert (await client.get(f"/page/{path}")).status == 404

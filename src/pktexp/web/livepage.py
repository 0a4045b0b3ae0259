"""Serve the live page: the files of the folder page/.

The page loads nothing from other hosts, and its Content-Security-Policy makes the browser enforce
that. Its data comes from the API.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from aiohttp import ETag, web

MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
FOLDERS = ("", "vendor/")
HEADERS = {
    # The browser revalidates its cached copy before each use.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class PageFile:
    """A file of the page with its media type."""

    body: bytes
    media_type: str

    @property
    def etag(self) -> str:
        """Return a hash of the bytes."""
        return hashlib.sha256(self.body).hexdigest()[:32]

    async def answer(self, request: web.Request) -> web.Response:
        """Return the file, or 304 if the browser has this version."""
        etag = self.etag
        known = request.if_none_match or ()
        if any(etag == other.value for other in known):
            response = web.Response(status=304, headers=HEADERS)
        else:
            response = web.Response(body=self.body, content_type=self.media_type, headers=HEADERS)
            response.charset = "utf-8"
        response.etag = ETag(etag)
        return response


def add_page(app: web.Application, telemetry_path: str) -> None:
    """Add the page at `/` and its files below `/page/`; the page links to `telemetry_path`."""
    for name, file in _files():
        if name == "index.html":
            link = escape(telemetry_path)
            body = file.body.replace(b"TELEMETRY", link.encode())
            app.router.add_get("/", PageFile(body, file.media_type).answer)
        else:
            app.router.add_get(f"/page/{name}", file.answer)


def _files() -> Iterator[tuple[str, PageFile]]:
    folder = files("pktexp.web").joinpath("page")
    for part in FOLDERS:
        for entry in folder.joinpath(part).iterdir():
            media_type = MEDIA_TYPES.get(entry.name.rpartition(".")[2])
            if media_type:
                yield part + entry.name, PageFile(entry.read_bytes(), media_type)

"""The live page: files of the folder page/, which app.py serves beside the metrics.

It asks nothing of another host, and the browser is told to see to it; what it shows comes from
api.py and stream.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from aiohttp import ETag, web

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
FOLDERS = ("", "vendor/")
HEADERS = {
    # Of the browser's cache it is asked first whether it is still the same.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class File:
    """One of the page's, and what its bytes are known by."""

    body: bytes
    media_type: str

    @property
    def tag(self) -> str:
        """The same for the same bytes."""
        return hashlib.sha256(self.body).hexdigest()[:32]

    async def answer(self, request: web.Request) -> web.Response:
        """The file, or 304 if the browser has it."""
        tag = self.tag
        known = request.if_none_match or ()
        if any(tag == other.value for other in known):
            response = web.Response(status=304, headers=HEADERS)
        else:
            response = web.Response(body=self.body, content_type=self.media_type, headers=HEADERS)
            response.charset = "utf-8"
        response.etag = ETag(tag)
        return response


def add_page(app: web.Application, telemetry_path: str) -> None:
    """`/`, and what it is made of below `/page/`."""
    for name, file in _files():
        if name == "index.html":
            link = escape(telemetry_path)
            body = file.body.replace(b"TELEMETRY", link.encode())
            app.router.add_get("/", File(body, file.media_type).answer)
        else:
            app.router.add_get(f"/page/{name}", file.answer)


def _files() -> Iterator[tuple[str, File]]:
    folder = files("pktexp.web").joinpath("page")
    for part in FOLDERS:
        for entry in folder.joinpath(part).iterdir():
            media_type = TYPES.get(entry.name.rpartition(".")[2])
            if media_type:
                yield part + entry.name, File(entry.read_bytes(), media_type)

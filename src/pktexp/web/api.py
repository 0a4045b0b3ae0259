"""/api/v1: what pktexp knows as JSON, as openapi.json says; the documents are live/live.py's.

An application of its own, so that its errors are JSON; service.py hangs it into app.py's, behind
the same doors. stream.py has the stream.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from pktexp.live.documents import Document, Live, Samples
from pktexp.live.flows import Query
from pktexp.web.parameters import DOCUMENT, declared, parse
from pktexp.web.stream import LIVE, NO_FLOWS, NO_SAMPLE, stream

PREFIX = "/api/v1"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Make = Callable[[Live, Samples, dict[str, Any]], Document]


def make_api(live: Live) -> web.Application:
    """The application below PREFIX."""
    api = web.Application(middlewares=[errors_as_json])
    api[LIVE] = live
    for path, make in DOCUMENTS.items():
        api.router.add_get(path, _answering(path, make), allow_head=False)
    api.router.add_get("/stream", stream, allow_head=False)
    api.router.add_get("/openapi.json", openapi, allow_head=False)
    return api


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Each error says in one sentence what is wrong."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return _error(404, f"there is nothing here; {PREFIX}/openapi.json tells what there is")
    except web.HTTPMethodNotAllowed as error:
        allow = {"Allow": ", ".join(sorted(error.allowed_methods))}
        return _error(405, f"{request.method} is not allowed here, only {allow['Allow']}", allow)
    except web.HTTPClientError as error:
        return _error(error.status, error.text or error.reason)
    except web.HTTPServiceUnavailable as error:
        return _error(error.status, error.text or error.reason)


async def openapi(request: web.Request) -> web.Response:
    """What there is, for programs."""
    parse(request, {})
    return _json(DOCUMENT)


def _answering(path: str, make: Make) -> Handler:
    """A handler that writes the document which `make` makes."""
    parameters = declared(PREFIX + path)

    async def answer(request: web.Request) -> web.Response:
        live, values = request.app[LIVE], parse(request, parameters)
        if (samples := await live.sampler.now()) is None:
            raise web.HTTPServiceUnavailable(text=NO_SAMPLE)
        compress = "gzip" in request.headers.get("Accept-Encoding", "").lower()
        key = (path, *values.values(), samples[-1].at, compress)
        body = await live.write(key, lambda: make(live, samples, values), compress)
        return _json(body, headers={"Content-Encoding": "gzip"} if compress else {})

    return answer


def _status(live: Live, samples: Samples, _: dict[str, Any]) -> Document:
    return live.status(samples)


def _interfaces(live: Live, samples: Samples, values: dict[str, Any]) -> Document:
    every = live.interfaces(samples)
    found = [x for x in every if fnmatch.fnmatchcase(x["name"], values["name"])]
    return {"now": samples[-1].now, "interfaces": found}


def _drops(live: Live, samples: Samples, values: dict[str, Any]) -> Document:
    return live.drops(samples, **values)


def _history(live: Live, samples: Samples, values: dict[str, Any]) -> Document:
    return live.past(samples, **values)


def _flows(live: Live, samples: Samples, values: dict[str, Any]) -> Document:
    if (document := live.heaviest(samples, Query(**values))) is None:
        raise web.HTTPServiceUnavailable(text=NO_FLOWS)
    return document


DOCUMENTS: dict[str, Make] = {
    "/status": _status,
    "/interfaces": _interfaces,
    "/flows": _flows,
    "/drops": _drops,
    "/history": _history,
}


def _error(status: int, sentence: str, headers: dict[str, str] | None = None) -> web.Response:
    return _json(orjson.dumps({"error": sentence}), status, headers)


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    every = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"} | (headers or {})
    return web.Response(body=body, status=status, headers=every, content_type="application/json")

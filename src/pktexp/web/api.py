"""/api/v1: the live documents as JSON, as openapi.json describes them.

A separate application below the main one, so that its errors are JSON. Requests pass the main
application's authorization first.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from pktexp.live.documents import Document, Live, Samples
from pktexp.live.flows import Query
from pktexp.web.negotiation import accepts_gzip, joined
from pktexp.web.parameters import OPENAPI, declared, parse
from pktexp.web.stream import LIVE, NO_FLOWS, NO_SAMPLE, stream

PREFIX = "/api/v1"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Builder = Callable[[Live, Samples, dict[str, Any]], Document]


def make_api(live: Live) -> web.Application:
    """Return the application to mount at PREFIX."""
    api = web.Application(middlewares=[errors_as_json])
    api[LIVE] = live
    for path, build in DOCUMENTS.items():
        api.router.add_get(path, _handler(path, build), allow_head=False)
    api.router.add_get("/stream", stream, allow_head=False)
    api.router.add_get("/openapi.json", openapi, allow_head=False)
    return api


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn each error into a JSON object with one sentence."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return _error(404, f"not found; {PREFIX}/openapi.json lists all paths")
    except web.HTTPMethodNotAllowed as error:
        allow = {"Allow": ", ".join(sorted(error.allowed_methods))}
        return _error(405, f"{request.method} is not allowed, use {allow['Allow']}", allow)
    except web.HTTPClientError as error:
        return _error(error.status, error.text or error.reason)
    except web.HTTPServiceUnavailable as error:
        return _error(error.status, error.text or error.reason)


async def openapi(request: web.Request) -> web.Response:
    """Return openapi.json, the description of this API."""
    parse(request, {})
    return _json(OPENAPI)


def _handler(path: str, build: Builder) -> Handler:
    """Return a handler that responds with the document that `build` returns."""
    parameters = declared(PREFIX + path)

    async def answer(request: web.Request) -> web.Response:
        live, values = request.app[LIVE], parse(request, parameters)
        if (samples := await live.sampler.now()) is None:
            raise web.HTTPServiceUnavailable(text=NO_SAMPLE)
        compress = accepts_gzip(joined(request, "Accept-Encoding"))
        key = (path, *values.values(), samples[-1].at, compress)
        body = await live.write(key, lambda: build(live, samples, values), compress)
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


def _services(live: Live, samples: Samples, values: dict[str, Any]) -> Document:
    return {"now": samples[-1].now, "services": live.services(samples, values["cgroup"])}


def _history(live: Live, samples: Samples, values: dict[str, Any]) -> Document:
    return live.past(samples, **values)


def _flows(live: Live, samples: Samples, values: dict[str, Any]) -> Document:
    if (document := live.largest_flows(samples, Query(**values))) is None:
        raise web.HTTPServiceUnavailable(text=NO_FLOWS)
    return document


DOCUMENTS: dict[str, Builder] = {
    "/status": _status,
    "/interfaces": _interfaces,
    "/flows": _flows,
    "/drops": _drops,
    "/services": _services,
    "/history": _history,
}


def _error(status: int, sentence: str, headers: dict[str, str] | None = None) -> web.Response:
    return _json(orjson.dumps({"error": sentence}), status, headers)


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    every = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"} | (headers or {})
    return web.Response(body=body, status=status, headers=every, content_type="application/json")

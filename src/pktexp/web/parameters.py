"""Parse query parameters by their schemas in openapi.json, the document that clients get."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from aiohttp import web

OPENAPI = files("pktexp.web").joinpath("openapi.json").read_bytes()
NUMBER = re.compile(r"-?[0-9]{1,9}")
MAX_QUOTED = 40  # characters of a client's text in an error

Schema = Mapping[str, Any]
Parameters = dict[str, Schema]


def declared(path: str) -> Parameters:
    """Return the schema of each query parameter of a path, by name."""
    document = json.loads(OPENAPI)
    known = document["components"]["parameters"]
    listed = document["paths"][path]["get"].get("parameters", [])
    parameters = [known[entry["$ref"].rpartition("/")[2]] for entry in listed]
    return {parameter["name"]: parameter["schema"] for parameter in parameters}


def parse(request: web.Request, parameters: Parameters) -> dict[str, Any]:
    """Return a value for each parameter: the one given, the default, or "" without a default.

    Raises HTTPBadRequest with one sentence that names the fault and the allowed values.
    """
    for name in request.query:
        if name not in parameters:
            allowed = ", ".join(parameters) or "none"
            raise _bad(f"unknown parameter {_quoted(name)}, allowed: {allowed}")
        if len(request.query.getall(name)) > 1:
            raise _bad(f"{name} is given more than once")
    return {
        name: PARSERS[schema["type"]](name, request.query[name], schema)
        if name in request.query
        else schema.get("default", "")
        for name, schema in parameters.items()
    }


def _number(name: str, text: str, schema: Schema) -> int:
    least, most = schema["minimum"], schema["maximum"]
    if NUMBER.fullmatch(text) and least <= int(text) <= most:
        return int(text)
    raise _bad(f"{name} must be a whole number from {least} to {most}, not {_quoted(text)}")


def _text(name: str, text: str, schema: Schema) -> str:
    if text not in schema.get("enum", [text]):
        allowed = ", ".join(schema["enum"])
        raise _bad(f"{name} must be one of {allowed}, not {_quoted(text)}")
    least, most = schema.get("minLength", 0), schema.get("maxLength", len(text))
    if not least <= len(text) <= most:
        raise _bad(f"{name} must have {least} to {most} characters, not {len(text)}")
    return text


PARSERS: dict[str, Callable[[str, str, Schema], Any]] = {"integer": _number, "string": _text}


def _quoted(text: str) -> str:
    """Return the text quoted, cut to MAX_QUOTED, and encodable: clients may send invalid UTF-8."""
    cut = text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"
    return f"'{cut.encode(errors='backslashreplace').decode()}'"


def _bad(sentence: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=sentence)

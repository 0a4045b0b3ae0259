"""Query parameters, as openapi.json declares them: the document that is served is what is checked.

For api.py and stream.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from aiohttp import web

DOCUMENT = files("pktexp.web").joinpath("openapi.json").read_bytes()
NUMBER = re.compile(r"-?[0-9]{1,9}")
SHOWN = 40  # characters of what was given

Schema = Mapping[str, Any]
Parameters = dict[str, Schema]


def declared(path: str) -> Parameters:
    """The schema of each parameter of a path, by name."""
    document = json.loads(DOCUMENT)
    known = document["components"]["parameters"]
    listed = document["paths"][path]["get"].get("parameters", [])
    parameters = [known[entry["$ref"].rpartition("/")[2]] for entry in listed]
    return {parameter["name"]: parameter["schema"] for parameter in parameters}


def parse(request: web.Request, parameters: Parameters) -> dict[str, Any]:
    """A value for each, the default where none is given ("" if it has none); else HTTPBadRequest.

    That says what is wrong, and what is allowed, in one sentence.
    """
    for name in request.query:
        if name not in parameters:
            allowed = ", ".join(parameters) or "none"
            raise _bad(f"there is no parameter {_shown(name)} here, allowed: {allowed}")
        if len(request.query.getall(name)) > 1:
            raise _bad(f"{name} is given more than once")
    return {
        name: KINDS[schema["type"]](name, request.query[name], schema)
        if name in request.query
        else schema.get("default", "")
        for name, schema in parameters.items()
    }


def _number(name: str, text: str, schema: Schema) -> int:
    least, most = schema["minimum"], schema["maximum"]
    if NUMBER.fullmatch(text) and least <= int(text) <= most:
        return int(text)
    raise _bad(f"{name} is {_shown(text)}, not a whole number from {least} to {most}")


def _text(name: str, text: str, schema: Schema) -> str:
    if text not in schema.get("enum", [text]):
        raise _bad(f"{name} is {_shown(text)}, not one of: {', '.join(schema['enum'])}")
    least, most = schema.get("minLength", 0), schema.get("maxLength", len(text))
    if not least <= len(text) <= most:
        raise _bad(f"{name} has {len(text)} characters, not from {least} to {most}")
    return text


KINDS: dict[str, Callable[[str, str, Schema], Any]] = {"integer": _number, "string": _text}


def _shown(text: str) -> str:
    """What a client sent may be no UTF-8, which JSON has to be."""
    cut = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return f"'{cut.encode(errors='backslashreplace').decode()}'"


def _bad(sentence: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=sentence)

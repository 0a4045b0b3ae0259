"""Choose the format and the content coding of a response (RFC 9110, section 12).

prometheus_client reads neither weights nor upper-case types, and aiohttp negotiates no types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product

from aiohttp import web

# Commas and semicolons within a quoted string separate nothing.
ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+"?)++')
PARAMETER = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*+"?)++')
WEIGHT = re.compile(r"0(?:\.[0-9]*)?|1(?:\.0*)?")
MAX_ELEMENTS = 64  # of a header; the rest is ignored, as half a MiB of them would block the loop
ESCAPINGS = ("underscores", "allow-utf-8", "dots", "values")  # of Prometheus; the default first
GZIP = ("gzip", "x-gzip")  # the same coding, by section 8.4.1.3


@dataclass(frozen=True)
class Format:
    """A format of the metrics page."""

    media_type: str
    version: str
    escaping: str

    def __str__(self) -> str:
        """Return the media type with its parameters."""
        return f"{self.media_type}; version={self.version}; escaping={self.escaping}"

    @property
    def parameters(self) -> Mapping[str, str]:
        """Return the values that a range's parameters must have to include the format."""
        return {"version": self.version, "escaping": self.escaping, "charset": "utf-8"}


TEXT, OPENMETRICS = "text/plain", "application/openmetrics-text"
KINDS = ((TEXT, "0.0.4"), (TEXT, "1.0.0"), (OPENMETRICS, "1.0.0"))
FORMATS = tuple(Format(*kind, escaping) for kind, escaping in product(KINDS, ESCAPINGS))


@dataclass(frozen=True)
class Range:
    """An element of an `Accept` header."""

    media_type: str
    parameters: Mapping[str, str]
    weight: float

    def includes(self, offered: Format) -> bool:
        """Return whether the range includes the format."""
        main = offered.media_type.partition("/")[0]
        return self.media_type in (offered.media_type, f"{main}/*", "*/*") and all(
            offered.parameters.get(name) == value for name, value in self.parameters.items()
        )

    @property
    def precision(self) -> tuple[int, int]:
        """Return a value that is larger for more specific ranges."""
        return -self.media_type.count("*"), len(self.parameters)

    @property
    def names_format(self) -> bool:
        """Return whether the client knows the format: text has versions, so it takes one."""
        return self.media_type == OPENMETRICS or (
            self.media_type == TEXT and "version" in self.parameters
        )


def choose_format(accept: str) -> Format:
    """Return the format with the highest weight in an `Accept` header.

    At equal weights, named formats come before those that only a wildcard includes; of the former
    the newest is chosen, of the latter the oldest. If no format is acceptable, it is the text
    format, as an exporter that answers is of more use than one that does not.
    """
    ranges = list(_ranges(accept))

    def rank(offered: Format) -> tuple[float, int]:
        matching = [each for each in ranges if each.includes(offered)]
        if not matching:
            return 0, 0
        best = max(matching, key=lambda each: (each.precision, each.weight))
        age = KINDS.index((offered.media_type, offered.version))
        return best.weight, age if best.names_format else -age

    chosen = max(FORMATS, key=rank)
    return chosen if rank(chosen)[0] else FORMATS[0]


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether the header prefers gzip to no coding; at equal weights it does.

    If neither is acceptable, the response has no coding.
    """
    weights = {coding: weight for coding, _, weight in _elements(accept_encoding)}
    anything = weights.get("*", 0.0)
    gzip = max((weights[name] for name in GZIP if name in weights), default=anything)
    return 0 < gzip >= weights.get("identity", anything)


def joined(request: web.Request, name: str) -> str:
    """Return a header's elements; a request may spread them over several lines."""
    return ",".join(request.headers.getall(name, []))


def _ranges(accept: str) -> Iterator[Range]:
    for media_type, parameters, weight in _elements(accept):
        # Later escapings of Prometheus are answered by the default, as its own libraries do.
        if parameters.get("escaping", "") not in ESCAPINGS:
            parameters.pop("escaping", None)
        yield Range(media_type, parameters, weight)


def _elements(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield each element's name, parameters and weight, without those whose weight is malformed."""
    for element in islice(ELEMENT.finditer(header), MAX_ELEMENTS):
        name, *rest = PARAMETER.findall(element[0]) or [""]
        pairs = (part.partition("=") for part in rest if "=" in part)
        parameters = {key.strip().lower(): _unquoted(value.strip()) for key, _, value in pairs}
        weight = parameters.pop("q", "1")
        if name.strip() and WEIGHT.fullmatch(weight):
            yield name.strip().lower(), parameters, float(weight)


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    return value.lower()

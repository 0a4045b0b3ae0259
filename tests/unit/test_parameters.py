"""Query parameters are parsed as openapi.json declares them."""

from __future__ import annotations

import json

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from pktexp.live.interfaces import PROTOCOLS
from pktexp.web.api import DOCUMENTS, PREFIX
from pktexp.web.parameters import OPENAPI, declared, parse

FLOWS = declared("/api/v1/flows")
SORTS = "bytes_per_second, packets_per_second, bytes, packets"


def test_omitted_parameters_have_their_defaults() -> None:
    values = parse(make_mocked_request("GET", "/"), FLOWS)
    assert values == {
        "top": 20,
        "view": "conversations",
        "sort": "bytes_per_second",
        "interface": "*",
        "direction": "",
        "protocol": "",
        "search": "",
    }


def test_given_parameters_are_parsed() -> None:
    request = make_mocked_request("GET", "/?top=1000&sort=bytes&search=a%20b&protocol=tcp")
    values = parse(request, FLOWS)
    assert (values["top"], values["sort"], values["search"]) == (1000, "bytes", "a b")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("top=0", "top must be a whole number from 1 to 1000, not '0'"),
        ("top=1001", "top must be a whole number from 1 to 1000, not '1001'"),
        ("top=", "top must be a whole number from 1 to 1000, not ''"),
        ("top=1e2", "top must be a whole number from 1 to 1000, not '1e2'"),
        ("top=%D9%A1", "top must be a whole number from 1 to 1000, not '\u0661'"),
        ("top=1&top=2", "top is given more than once"),
        ("tpo=1", "unknown parameter 'tpo', allowed: top, sort, interface, "),
        ("direction=in", "direction must be one of ingress, egress, not 'in'"),
        ("interface=", "interface must have 1 to 64 characters, not 0"),
        (f"search={'x' * 101}", "search must have 0 to 100 characters, not 101"),
        (f"sort={'x' * 100}", f"sort must be one of {SORTS}, not '{'x' * 40}…'"),
    ],
)
def test_invalid_parameters_are_reported_in_one_sentence(query: str, sentence: str) -> None:
    with pytest.raises(web.HTTPBadRequest) as caught:
        parse(make_mocked_request("GET", f"/?{query}"), FLOWS)
    assert (caught.value.text or "").startswith(sentence)


def test_invalid_unicode_is_reported() -> None:
    request = make_mocked_request("GET", "/").clone(
        rel_url=URL.build(path="/", query_string="sort=\udcff", encoded=True)
    )
    with pytest.raises(web.HTTPBadRequest) as caught:
        parse(request, FLOWS)
    assert (caught.value.text or "").encode()


def test_openapi_lists_every_path_and_protocol() -> None:
    document = json.loads(OPENAPI)
    paths = {PREFIX + path for path in [*DOCUMENTS, "/stream", "/openapi.json"]}
    assert document["paths"].keys() == paths
    assert FLOWS["protocol"]["enum"] == list(PROTOCOLS)
    protocol = document["components"]["schemas"]["Flow"]["properties"]["protocol"]
    assert protocol["enum"] == list(PROTOCOLS)

"""Parameters against what the API's own document says of them."""

from __future__ import annotations

import json

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from pktexp.live.interfaces import PROTOCOLS
from pktexp.web.api import DOCUMENTS, PREFIX
from pktexp.web.parameters import DOCUMENT, declared, parse

FLOWS = declared("/api/v1/flows")


def test_without_any_the_documents_defaults_hold() -> None:
    values = parse(make_mocked_request("GET", "/"), FLOWS)
    assert values == {
        "top": 20,
        "sort": "bytes_per_second",
        "interface": "*",
        "direction": "",
        "protocol": "",
        "search": "",
    }


def test_what_is_given_is_taken() -> None:
    request = make_mocked_request("GET", "/?top=1000&sort=bytes&search=a%20b&protocol=tcp")
    values = parse(request, FLOWS)
    assert (values["top"], values["sort"], values["search"]) == (1000, "bytes", "a b")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("top=0", "top is '0', not a whole number from 1 to 1000"),
        ("top=1001", "top is '1001', not a whole number from 1 to 1000"),
        ("top=", "top is '', not a whole number from 1 to 1000"),
        ("top=1e2", "top is '1e2', not a whole number from 1 to 1000"),
        ("top=%D9%A1", "top is '\u0661', not a whole number from 1 to 1000"),
        ("top=1&top=2", "top is given more than once"),
        ("tpo=1", "there is no parameter 'tpo' here, allowed: top, sort, interface, "),
        ("direction=in", "direction is 'in', not one of: ingress, egress"),
        ("interface=", "interface has 0 characters, not from 1 to 64"),
        (f"search={'x' * 101}", "search has 101 characters, not from 0 to 100"),
        (f"sort={'x' * 100}", f"sort is '{'x' * 40}…', not one of: "),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(query: str, sentence: str) -> None:
    with pytest.raises(web.HTTPBadRequest) as caught:
        parse(make_mocked_request("GET", f"/?{query}"), FLOWS)
    assert (caught.value.text or "").startswith(sentence)


def test_a_value_that_is_no_unicode_is_told_too() -> None:
    request = make_mocked_request("GET", "/").clone(
        rel_url=URL.build(path="/", query_string="sort=\udcff", encoded=True)
    )
    with pytest.raises(web.HTTPBadRequest) as caught:
        parse(request, FLOWS)
    assert (caught.value.text or "").encode()


def test_the_document_has_every_path_and_every_protocol() -> None:
    document = json.loads(DOCUMENT)
    paths = {PREFIX + path for path in [*DOCUMENTS, "/stream", "/openapi.json"]}
    assert document["paths"].keys() == paths
    assert FLOWS["protocol"]["enum"] == list(PROTOCOLS)
    told = document["components"]["schemas"]["Flow"]["properties"]["protocol"]
    assert told["enum"] == list(PROTOCOLS)

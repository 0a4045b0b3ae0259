"""Formats and codings by RFC 9110, sections 12.4.2, 12.5.1 and 12.5.3."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktexp.web.negotiation import accepts_gzip, choose_format

OPEN = "application/openmetrics-text"
# As the scrapers send them.
PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROTOBUF_FIRST = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
    "q=0.7," + PROMETHEUS_3
)
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (PROMETHEUS_2_42, "openmetrics"),
        (PROMETHEUS_3, "openmetrics"),
        (PROTOBUF_FIRST, "openmetrics"),
        (FIREFOX, "text 0.0.4"),
        ("", "text 0.0.4"),
        ("*/*", "text 0.0.4"),
        ("text/*", "text 0.0.4"),
        ("text/plain", "text 0.0.4"),
        ("application/*", "openmetrics"),
        (OPEN, "openmetrics"),
        (OPEN.upper(), "openmetrics"),
        ("Application/OpenMetrics-Text; Version=1.0.0; Q=0.5, text/plain;q=0.4", "openmetrics"),
        ("text/plain;version=1.0.0", "text 1.0.0"),
        # The highest weight wins.
        (f"{OPEN};q=0,text/plain", "text 0.0.4"),
        (f"text/plain;version=0.0.4;q=0.9,{OPEN};version=1.0.0;q=0.1", "text 0.0.4"),
        (f"text/plain;version=0.0.4;q=0.1,{OPEN};version=1.0.0;q=0.11", "openmetrics"),
        ("text/plain;version=0.0.4;q=0.9,text/plain;version=1.0.0;q=0.95", "text 1.0.0"),
        (f"{OPEN};q=0.001,text/plain;q=0.000", "openmetrics"),
        (f"text/plain;q=0.5,{OPEN};q=1.000", "openmetrics"),
        # At equal weights a named format comes first, and the newest of them.
        (f"text/plain,{OPEN}", "openmetrics"),
        (f"text/plain;version=0.0.4;q=0.3,{OPEN};version=1.0.0;q=0.3", "openmetrics"),
        (f"*/*;q=0.5,{OPEN};q=0.5", "openmetrics"),
        ("text/plain;version=0.0.4,text/plain;version=1.0.0", "text 1.0.0"),
        # The most specific range decides.
        (f"*/*;q=1,{OPEN};q=0.2,text/plain;q=0.1", "openmetrics"),
        (f"text/*;q=0.9,text/plain;q=0.1,{OPEN};q=0.5", "openmetrics"),
        (f"{OPEN};version=1.0.0;q=0,{OPEN},text/plain;q=0.1", "text 0.0.4"),
        (f"{OPEN},{OPEN};version=1.0.0;q=0.1,text/plain;q=0.2", "text 0.0.4"),
        ("text/*;q=0,*/*", "openmetrics"),
        ("*/*;q=0,text/plain;version=1.0.0;q=0.1", "text 1.0.0"),
        (f"application/*;q=0,{OPEN};q=0.1", "openmetrics"),
        # A range includes no format with another value of its parameter, or without it.
        (f"{OPEN};version=0.0.1,text/plain;q=0.1", "text 0.0.4"),
        (f"{OPEN};version=2.0.0,text/plain;q=0.1", "text 0.0.4"),
        (f"{OPEN};charset=utf-8;version=1.0.0,text/plain;q=0.1", "openmetrics"),
        (f'{OPEN};version="1.0.0";q="0.5",text/plain;q=0.1', "openmetrics"),
        (f"{OPEN};charset=utf-16,text/plain;q=0.1", "text 0.0.4"),
        (f"{OPEN};profile=x,text/plain;q=0.1", "text 0.0.4"),
        (f'text/x;a=",{OPEN};q=1,",text/plain;version=1.0.0;q=0.1', "text 1.0.0"),
        # Weights are read at any place; elements with a malformed one are left out.
        (f"{OPEN};q=0.1;version=1.0.0,text/plain;version=0.0.4;q=0.2", "text 0.0.4"),
        (f" {OPEN} ; q=0.9 , text/plain ; q=0.1 ", "openmetrics"),
        *((f"{OPEN};q={q},text/plain;q=0.1", "text 0.0.4") for q in ("2", "-1", "nan", "x", "")),
        *((f"{OPEN};q={q},text/plain;q=0.1", "text 0.0.4") for q in ("1.1", "1e0", "²", "inf")),
        # The text format where nothing is acceptable.
        *((none, "text 0.0.4") for none in ("image/png", "*/*;q=0", ",", ";;,,version=;q=x")),
        *((none, "text 0.0.4") for none in ("*", "text", "/", 'text/plain;q="', "text/plain;q=0")),
    ],
)  # fmt: skip
def test_format_follows_the_accept_header(accept: str, kind: str) -> None:
    chosen = choose_format(accept)
    kinds = {OPEN: "openmetrics", "text/plain": f"text {chosen.version}"}
    assert kinds[chosen.media_type] == kind
    assert chosen.version in ("0.0.4", "1.0.0")


@pytest.mark.parametrize(
    ("parameters", "escaping"),
    [
        ("", "underscores"),
        (";escaping=allow-utf-8", "allow-utf-8"),
        (";Escaping=Dots", "dots"),
        (";escaping=", "underscores"),
        (";escaping=later", "underscores"),
        (";escaping=dots;q=0.1,*/*;q=0.05,application/openmetrics-text;escaping=values", "values"),
        (";escaping=dots;q=0.2,application/openmetrics-text;escaping=values;q=0.1", "dots"),
        (";escaping=underscores;q=0,application/openmetrics-text;q=0.5", "allow-utf-8"),
    ],
)
def test_escaping_follows_the_accept_header(parameters: str, escaping: str) -> None:
    assert choose_format(OPEN + parameters).escaping == escaping


@given(st.permutations([OPEN, "text/plain;version=1.0.0", "text/plain;version=0.0.4", "image/png"]),
       st.lists(st.integers(1, 1000), min_size=4, max_size=4, unique=True))  # fmt: skip
def test_highest_weight_wins_in_any_order(names: list[str], weights: list[int]) -> None:
    header = ", ".join(f"{n};q={w / 1000:.3f}" for n, w in zip(names, weights, strict=True))
    known = {n: w for n, w in zip(names, weights, strict=True) if n != "image/png"}
    chosen = choose_format(header)
    assert f"{chosen.media_type};version={chosen.version}".startswith(
        max(known, key=known.__getitem__)
    )


@pytest.mark.parametrize(
    ("header", "gzip"),
    [
        ("gzip", True),
        ("GZip", True),
        ("x-gzip", True),
        ("deflate, gzip;q=1.0, br", True),
        ("gzip;q=0.001", True),
        ("gzip;q=0.5, *;q=0", True),
        ("*", True),
        ("*;q=0.1", True),
        ("identity, gzip", True),
        ("identity;q=0.5, gzip;q=0.6", True),
        ("identity;q=0, gzip", True),
        ("identity;q=0, *", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("", False),
        ("identity", False),
        ("br, deflate", False),
        ("gzipped", False),
        ("gzip;q=0", False),
        ("gzip; Q=0.000", False),
        ("x-gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("identity;q=0", False),  # gzip is not listed either
        ("identity;q=0, *;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("identity;q=0.7, *;q=0.5", False),
        ("gzip;q=0.5, *", False),  # includes no coding at all, with more weight
        ("gzip;q=x", False),
        ("gzip;q=nan", False),
        ("gzip;q=2", False),
    ],
)
def test_coding_follows_the_accept_encoding_header(header: str, gzip: bool) -> None:
    assert accepts_gzip(header) is gzip


def test_long_headers_take_little_time() -> None:
    began = time.process_time()
    for filler in ("text/plain,", '"', "a;", '"\\', ";q=", "gzip,"):
        choose_format(filler * 100_000)
        accepts_gzip(filler * 100_000)
    assert time.process_time() - began < 5

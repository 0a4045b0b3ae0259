"""The API's own document against its answers, under requests that schemathesis generates."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pktexp.web.parameters import OPENAPI
from support.netns.namespace import Namespace
from support.patience import finished
from support.service.api import frames
from support.service.process import Service, serving

SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
EXAMPLES = "25"  # of each path


@pytest.fixture
def service(pair: tuple[Namespace, Namespace]) -> Iterator[Service]:
    """With flows and drops at `vb`."""
    with serving(pair[1], "--interfaces", "v*") as service:
        service.wait_until_attached("vb")
        pair[0].send("va", frames(50))
        yield service


def test_responses_match_openapi_under_generated_requests(service: Service, tmp_path: Path) -> None:
    schema = tmp_path / "openapi.json"
    schema.write_bytes(service.get("api/v1/openapi.json").read())
    assert schema.read_bytes() == OPENAPI
    options = ("--max-examples", EXAMPLES, "--no-color", "--exclude-path", "/api/v1/stream")
    command = (str(SCHEMATHESIS), "run", str(schema), "--url", service.url, *options)
    done = finished(
        service.namespace.command(*command),
        cwd=tmp_path,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not service.messages("error")

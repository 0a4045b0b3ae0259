"""The stream of a running service."""

from __future__ import annotations

import contextlib
import itertools
import json
import urllib.error
from collections.abc import Iterator

import pytest
from jsonschema import Draft202012Validator

from pktexp.live.readers import MOST
from pktexp.web.parameters import OPENAPI
from support.netns.namespace import Namespace, connect
from support.patience import PATIENCE, wait_for
from support.service.api import Reader, ask, frames
from support.service.process import Service, serving, total

FLOWS = 1000


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """With a thousand flows, which make large events."""
    a, b = Namespace(), Namespace()
    try:
        connect(a, b, "va", "vb")
        with serving(b, "--interfaces", "vb") as service:
            service.wait_until_attached("vb")
            a.send("va", frames(FLOWS))
            wait_for(lambda: ask(service, "flows")["matched"] == FLOWS)
            yield service
    finally:
        a.remove()
        b.remove()


@contextlib.contextmanager
def reading(service: Service, query: str = "", count: int = 1) -> Iterator[list[Reader]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(contextlib.closing(Reader(service, query))) for _ in range(count)
        ]
    wait_for(lambda: ask(service, "status")["stream"]["readers"] == 0)


def test_the_first_event_is_immediate_then_one_a_second(service: Service) -> None:
    with reading(service, "?top=5") as (reader,):
        times = [event["now"] for event in itertools.islice(reader.events(), 4)]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    # The first one may be of a moment ago; a busy machine may leave out a second, or be late.
    assert all(gap > 0.5 for gap in gaps[1:])
    assert sum(gaps[1:]) >= 1.5


def test_events_match_the_openapi_schema(service: Service) -> None:
    document = json.loads(OPENAPI)
    schema = {"$ref": "#/components/schemas/Event", "components": document["components"]}
    with reading(service, "?top=7&sort=packets") as (reader,):
        for event in itertools.islice(reader.events(), 2):
            Draft202012Validator(schema).validate(event)
            assert len(event["flows"]["flows"]) == 7
            assert event["status"]["stream"]["readers"] == 1


def test_a_stalled_reader_is_dropped_without_delaying_others(
    service: Service,
) -> None:
    before = ask(service, "status")["stream"]["dropped"]
    with reading(service, "?top=1000") as (slow,), reading(service, "?top=1") as (other,):
        events = other.events()
        some = itertools.islice(events, int(PATIENCE))  # seconds, far more than it takes
        dropped = (event["status"]["stream"]["dropped"] for event in some)
        assert next((count for count in dropped if count > before), None) == before + 1
        assert next(events)["status"]["stream"]["readers"] == 1
        wait_for(slow.cut)
    page = service.page()
    assert total(page, "pktexp_stream_dropped_readers_total") == before + 1


def test_fifty_readers_share_events_beside_scrapes(service: Service) -> None:
    with reading(service, "?top=20", count=50) as readers:
        streams = [reader.events() for reader in readers]
        seen = [{next(stream)["now"] for _ in range(3)} for stream in streams]
        page = service.page_when(lambda page: total(page, "pktexp_stream_readers") == 50)
        assert total(page, "pktexp_packets_total", interface="vb") == FLOWS
        assert len(set.union(*seen)) < 50  # events are those of the seconds, not the readers' own


def test_readers_beyond_the_maximum_get_503(service: Service) -> None:
    with reading(service, "?top=1", count=MOST):
        wait_for(lambda: ask(service, "status")["stream"]["readers"] == MOST)
        with pytest.raises(urllib.error.HTTPError) as caught:
            service.get("api/v1/stream")
        with caught.value as answer:
            assert answer.status == 503
            assert str(MOST) in json.loads(answer.read())["error"]


def test_stopping_the_service_ends_its_streams(pair: tuple[Namespace, Namespace]) -> None:
    with serving(pair[1], "--interfaces", "vb") as service:
        with contextlib.closing(Reader(service)) as reader:
            next(reader.events())
            service.stop()
            wait_for(reader.cut)
        assert not service.messages("error")

"""The wall clock jumps, for this process alone: nothing that is counted or kept goes by it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from support.netns.namespace import Namespace
from support.patience import wait_for
from support.service.api import ask, frames, grown, interface
from support.service.process import Service, serving, total

FRAMES = frames(20)
(LIBRARY,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
HOUR, DAY = 3600, 86400


@pytest.mark.parametrize("jump", [-DAY, 2 * HOUR])
def test_clock_jump_changes_no_counter_history_or_lease(
    pair: tuple[Namespace, Namespace], tmp_path: Path, jump: int
) -> None:
    a, b = pair
    b.ip("link", "add", "gone", "type", "veth", "peer", "gone2")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    fake = (
        *("env", f"LD_PRELOAD={LIBRARY}", f"FAKETIME_TIMESTAMP_FILE={clock}"),
        *("FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"),
    )
    with serving(b, prefix=fake) as service:
        service.wait_until_attached("vb")
        wait_for(lambda: known(past(service)))
        a.send("va", FRAMES)
        b.ip("link", "delete", "gone")
        wait_for(lambda: "gone: gone" in service.messages())
        wait_for(lambda: total(service.page(), "total_packets", interface="vb") == len(FRAMES))
        wait_for(lambda: known(past(service)) >= 2)
        clock.write_text(f"{jump:+}")
        wait_for(lambda: abs(ask(service, "status")["now"] - time.time() - jump) < HOUR)
        before = known(past(service))
        a.send("va", FRAMES)
        page = service.page_when(
            lambda page: total(page, "total_packets", interface="vb") == 2 * len(FRAMES)
        )
        assert total(page, "pktexp_interface_attached", interface="vb") == 2
        assert 'interface="gone"' in service.text()  # its last values, for an hour
        wait_for(lambda: known(past(service)) >= before + 3)
        assert grown(past(service)) == pytest.approx(2 * len(FRAMES))
        rate = interface(service, "vb")["ingress"]["packets_per_second"]
        assert 0 <= rate <= 2 * len(FRAMES)
        assert service.messages("ERROR") == []


def past(service: Service) -> list[float | None]:
    """Packets received a second, by second; empty before there is a sample of the interface."""
    told = ask(service, "history?interface=vb&seconds=600")["interfaces"]
    if not told:
        return []
    values: list[float | None] = told["vb"]["ingress"]["protocols"]["udp"]["packets"]
    return values


def known(values: list[float | None]) -> int:
    """Seconds that have a value."""
    return sum(value is not None for value in values)

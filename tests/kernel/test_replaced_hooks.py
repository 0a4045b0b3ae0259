"""An XDP program that never runs is replaced by the next hook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.kernel.attached import attached
from support.kernel.bpffs import mounted, pinned
from support.kernel.features import ingress_hook, needs_tcx
from support.kernel.links import silence_xdp
from support.netns.namespace import Namespace
from support.packets.cases import ETHER, V4
from support.patience import wait_for
from support.service.process import Page, Service, serving, total

Pair = tuple[Namespace, Namespace]
FRAME = bytes(ETHER / V4)
BURST = [FRAME] * 200
REPLACEMENTS = "pktexp_interface_hook_replacements_total"
SILENT = "pktexp_interface_silent_hooks_total"


def replaced(a: Namespace, service: Service, times: int) -> Page:
    """Send until so many hooks have been replaced."""

    def look() -> bool:
        a.send("va", BURST)
        return total(service.page(), REPLACEMENTS) >= times

    wait_for(look, pause=0.2)
    return service.page()


def check_counts(a: Namespace, b: Namespace, service: Service) -> None:
    """Compare what is counted now with the kernel's statistic."""
    before, received = total(service.page(), "total_packets"), b.statistics("vb")[0]
    a.send("va", BURST)
    page = service.page_when(lambda page: total(page, "total_packets") >= before + len(BURST))
    assert total(page, "total_packets") - before == b.statistics("vb")[0] - received


@pytest.fixture(params=["xdp-native", "xdp-generic"])
def mode(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return ingress_hook(chosen)


def test_program_that_never_runs_is_replaced_by_the_hook_of_socket_buffers(
    pair: Pair, mode: str
) -> None:
    a, b = pair
    with serving(b, "--interfaces", "vb", "--ingress", mode) as service:
        assert service.wait_until_attached("vb") == mode
        silence_xdp(b, "vb")
        page = replaced(a, service, 1)
        assert service.wait_until_attached("vb") == ingress_hook("tcx")
        assert "xdp" not in attached(b, "vb")
        assert (total(page, REPLACEMENTS), total(page, SILENT)) == (1, 1)
        (line,) = service.messages("WARNING")
        assert line.startswith(f"vb: {mode} saw 0 of ")
        assert line.endswith("packets that the device received, replacing it by the next hook")
        check_counts(a, b, service)


def test_generic_xdp_follows_native_if_the_operator_chose_xdp(pair: Pair) -> None:
    a, b = pair
    with serving(b, "--interfaces", "vb", "--ingress", "xdp") as service:
        service.wait_until_attached("vb")
        for times, hook in ((1, "xdp-generic"), (2, ingress_hook("tcx"))):
            silence_xdp(b, "vb")
            replaced(a, service, times)
            assert service.wait_until_attached("vb") == hook
        check_counts(a, b, service)


@needs_tcx
def test_pinned_program_that_never_runs_is_replaced_by_a_pinned_one(pair: Pair, root: Path) -> None:
    a, b = pair
    options = ("--interfaces", "vb", "--ingress", "xdp-native", "--pin", str(root))
    ifindex = b.link("vb")["ifindex"]
    with serving(b, *options) as service:
        service.wait_until_attached("vb")
        silence_xdp(b, "vb")
        replaced(a, service, 1)
        assert service.wait_until_attached("vb") == "tcx-ingress"
        links = {name for name in pinned(root) if name.startswith(f"link-{ifindex}-")}
        assert links == {f"link-{ifindex}-tcx-ingress", f"link-{ifindex}-tcx-egress"}
        check_counts(a, b, service)
    assert attached(b, "vb") == {"tcx-ingress": 1, "tcx-egress": 1}


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "bpf") as folder:
        yield folder / "pktexp"


def test_program_that_runs_is_left_alone(pair: Pair, mode: str) -> None:
    a, b = pair
    with serving(b, "--interfaces", "vb", "--ingress", mode) as service:
        service.wait_until_attached("vb")
        for _ in range(4):
            a.send("va", BURST)
            service.wait_for_samples(2)
        assert service.wait_until_attached("vb") == mode
        assert total(service.page(), SILENT) == 0
        assert service.messages("WARNING") == []

"""Verifier steps of each program, against a bound far below the million at which kernels refuse.

Steps depend on the kernel, and on the options: the verifier skips branches that constants exclude.
Each test records them as a property in pytest's JUnit file (--junitxml).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from pktexp.bpf import probes
from pktexp.bpf.datapath import PROGRAMS, Datapath
from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.object import BpfObject
from pktexp.bpf.options import DatapathOptions
from pktexp.bpf.tracepoints import DROPS, RETRANSMITS
from pktexp.bpf.tracing import Tracepoint, Tracing
from pktexp.packet.enums import Tunnel
from support.kernel.features import needs_drop_reasons, needs_verifier_steps

MOST_STEPS = 400_000
OPTIONS = {
    "totals": DatapathOptions(events=False),
    "records": DatapathOptions(),
    "cache": DatapathOptions(flow_cache=4096),
    "captured": DatapathOptions(flow_cache=4096, wire_lengths=True),
    "all": DatapathOptions(services=True, decap=tuple(Tunnel), flow_cache=4096),
}
Check = Callable[[BpfObject, str], None]


@pytest.fixture
def check_steps(record_property: Callable[[str, object], None]) -> Check:
    """Record a loaded program's steps, and fail if there are too many or none."""

    def check(loaded: BpfObject, program: str) -> None:
        steps = int(loaded.program_info(program)["verified_insns"])
        record_property(f"verifier steps of {program}", steps)
        assert 0 < steps <= MOST_STEPS, program

    return check


@pytest.fixture
def datapath(lib: Libbpf, request: pytest.FixtureRequest) -> Iterator[Datapath]:
    with closing(Datapath(lib, OPTIONS[request.param])) as loaded:
        yield loaded


@needs_verifier_steps
@pytest.mark.parametrize("datapath", OPTIONS, indirect=True)
@pytest.mark.parametrize("program", PROGRAMS)
def test_packet_programs_stay_far_below_the_verifiers_limit(
    datapath: Datapath, program: str, check_steps: Check
) -> None:
    check_steps(datapath.object, program)


@needs_verifier_steps
@pytest.mark.parametrize("datapath", ["records"], indirect=True)
@pytest.mark.parametrize("tracepoint", [pytest.param(DROPS, marks=needs_drop_reasons), RETRANSMITS])
def test_tracing_programs_stay_far_below_the_verifiers_limit(
    lib: Libbpf, datapath: Datapath, tracepoint: Tracepoint, check_steps: Check
) -> None:
    arguments = probes.tracepoint_arguments(lib, tracepoint.name)
    with closing(Tracing(lib, datapath, tracepoint, arguments)) as tracing:
        check_steps(tracing.object, tracepoint.program)

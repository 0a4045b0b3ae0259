"""What of the kernel a test needs: it is skipped elsewhere, and docs/kernels.md says so."""

from __future__ import annotations

import pytest

from pktexp.kernel import libbpf, probes
from pktexp.kernel.drops import DROPS

LIB = libbpf.find()
TCX = probes.has_tcx(LIB)


def needs(there: bool, what: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not there, reason=f"needs {what}")


def ingress_hook(mode: str) -> str:
    """The hook that `--ingress MODE` gives, where the interface can have it."""
    return mode if mode != "tcx" else "tcx-ingress" if TCX else "clsact-ingress"


needs_tcx = needs(TCX, "TCX (Linux 6.6)")
needs_multi_buffer_xdp = needs(probes.has_multi_buffer(LIB), "multi-buffer XDP (Linux 5.18)")
needs_drop_reasons = needs(
    probes.tracepoint_arguments(LIB, DROPS.name) >= DROPS.arguments, "drop reasons (Linux 5.17)"
)

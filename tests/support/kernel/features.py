"""Features of the kernel that tests need; elsewhere they are skipped, as docs/kernels.md lists."""

from __future__ import annotations

import pytest

from pktexp.bpf import libbpf, probes
from pktexp.bpf.tracepoints import DROPS

LIB = libbpf.find()
TCX, MULTI_BUFFER_XDP = probes.has_tcx(LIB), probes.has_multi_buffer(LIB)
# Bytes that BPF_PROG_TEST_RUN takes as a frame: without buffers behind it about a page.
LARGEST_RUN = 65535 if MULTI_BUFFER_XDP else 3072


def needs(there: bool, what: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not there, reason=f"needs {what}")


def ingress_hook(mode: str) -> str:
    """Return the hook that `--ingress MODE` selects; skip the test if the interface lacks it."""
    skb_hook = "tcx-ingress" if TCX else "clsact-ingress"
    return skb_hook if mode == "tcx" else mode


needs_tcx = needs(TCX, "TCX (Linux 6.6)")
needs_multi_buffer_xdp = needs(MULTI_BUFFER_XDP, "multi-buffer XDP (Linux 5.18)")
needs_drop_reasons = needs(
    probes.tracepoint_arguments(LIB, DROPS.name) >= DROPS.arguments, "drop reasons (Linux 5.17)"
)
# verified_insns in fdinfo (kernel commit aba64c7da983) and this helper are both of 5.16.
needs_verifier_steps = needs(
    bool(probes.is_named(LIB, "bpf_func_id", "BPF_FUNC_trace_vprintk")),
    "verified_insns (Linux 5.16)",
)
needs_receivers = needs(
    probes.tracepoint_arguments(LIB, DROPS.name) > DROPS.arguments, "receivers (Linux 6.11)"
)

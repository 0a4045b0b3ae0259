"""Tracepoints of dropped and retransmitted packets, and the kernel's names of drop reasons.

Their programs are bpf/drops.bpf.c and bpf/retransmits.bpf.c.
"""

from __future__ import annotations

from pktexp.bpf.btf import kernel_btf
from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.tracing import Tracepoint

REASON_PREFIX = "SKB_DROP_REASON_"

DROPS = Tracepoint(
    name="kfree_skb",
    arguments=3,  # the last is the reason (kernel commit c504e5c2f964, 5.17)
    object="drops.bpf.o",
    program="count_drop",
    counted="dropped packets",
    cells=16384,
    limitation="does not report reasons for drops (Linux 5.17 does)",
)
RETRANSMITS = Tracepoint(
    name="tcp_retransmit_skb",
    arguments=2,
    object="retransmits.bpf.o",
    program="count_retransmit",
    counted="retransmitted segments",
    cells=4096,
    limitation="does not report them",
)


def reason_names(lib: Libbpf) -> dict[int, str]:
    """Return the running kernel's names of drop reasons by number, such as `no_socket`.

    The names are from enum skb_drop_reason of its BTF, as numbers differ among kernels. Raises
    BpfError without BTF.
    """
    with kernel_btf(lib) as btf:
        reasons = btf.enum("skb_drop_reason")
    return {number: name.removeprefix(REASON_PREFIX).lower() for name, number in reasons.items()}


def reason_name(names: dict[int, str], reason: int) -> str:
    """Return a reason's name, or its number, such as `0x20001`, if `names` lacks it.

    Subsystems number their reasons in the upper 16 bits and have no names in BTF (kernel commit
    071c0fc6fb91, 6.4).
    """
    return names.get(reason, f"{reason:#x}")

"""Which tracepoints tell where packets die, and the kernel's names of its reasons.

The programs are bpf/drops.bpf.c and bpf/retransmits.bpf.c, run by tracing.py; dropmetrics.py shows
what they count.
"""

from __future__ import annotations

from pktexp.bpf.btf import kernel_btf
from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.tracing import Tracepoint

PREFIX = "SKB_DROP_REASON_"

DROPS = Tracepoint(
    name="kfree_skb",
    arguments=3,  # the last is the reason (kernel commit c504e5c2f964, 5.17)
    object="drops.bpf.o",
    program="count_drop",
    what="dropped packets",
    lacking="does not tell why it drops them (Linux 5.17 does)",
)
RETRANSMITS = Tracepoint(
    name="tcp_retransmit_skb",
    arguments=2,
    object="retransmits.bpf.o",
    program="count_retransmit",
    what="retransmitted segments",
    lacking="does not tell of them",
)


def reason_names(lib: Libbpf) -> dict[int, str]:
    """The running kernel's names of its reasons by number, such as `no_socket`.

    From enum skb_drop_reason of its BTF, as the numbers differ among kernels; BpfError without it.
    """
    with kernel_btf(lib) as btf:
        reasons = btf.enum("skb_drop_reason")
    return {number: name.removeprefix(PREFIX).lower() for name, number in reasons.items()}


def reason_name(names: dict[int, str], reason: int) -> str:
    """A reason's name; its number, such as `0x20001`, if the kernel's BTF has no name for it.

    Subsystems have numbers of their own in the upper 16 bits, and keep their names to themselves
    (kernel commit 071c0fc6fb91, 6.4).
    """
    return names.get(reason, f"{reason:#x}")

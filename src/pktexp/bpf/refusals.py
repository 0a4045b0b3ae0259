"""What to do where a kernel refuses to load the programs; for datapath.py."""

from __future__ import annotations

import errno

from pktexp.bpf.libbpf import BpfError, VerifierError
from pktexp.errors import PktexpError

NO_MEMORY = (errno.ENOMEM, errno.E2BIG)
LESS_MEMORY = "ask for less kernel memory: a smaller --flow-cache or --max-interfaces"

# The verifier's words to global functions that take pointers, until kernel commit e5069b9c23b3.
NO_POINTERS = "type PTR in"
TOO_OLD = "this kernel is too old for the BPF programs"
LATER = "pktexp is made for Linux 5.15 and later"


def explained(error: BpfError) -> PktexpError | None:
    """An error that says what to do; None if that is not known."""
    if isinstance(error, VerifierError) and NO_POINTERS in error.log:
        return PktexpError(TOO_OLD, LATER)
    return PktexpError(str(error), LESS_MEMORY) if error.errno in NO_MEMORY else None

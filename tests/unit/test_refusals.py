"""What pktexp says when a kernel does not take its programs."""

from __future__ import annotations

import errno

from pktexp.bpf.libbpf import BpfError, VerifierError
from pktexp.bpf.object import explained

# As Linux 5.10 says it.
OF_5_10 = "Validating f() func#1...\nArg#1 type PTR in f() is not supported yet.\n"


def test_a_kernel_without_pointers_for_global_functions_is_said_to_be_too_old() -> None:
    told = explained(VerifierError(errno.EINVAL, "load", OF_5_10))
    assert told
    assert "too old" in str(told)
    assert "5.15" in told.hint


def test_want_of_memory_is_said_with_the_options_that_ask_for_it() -> None:
    told = explained(BpfError(errno.ENOMEM, "load"))
    assert told
    assert "--flow-cache" in told.hint


def test_what_else_the_verifier_or_the_kernel_says_stands_as_it_is() -> None:
    assert explained(VerifierError(errno.EACCES, "load", "R2 unbounded memory access")) is None
    assert explained(BpfError(errno.EPERM, "load")) is None

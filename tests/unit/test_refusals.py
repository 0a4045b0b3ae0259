"""The errors for kernels that refuse the programs."""

from __future__ import annotations

import errno

from pktexp.bpf.libbpf import BpfError, VerifierError
from pktexp.bpf.object import explained

# The log of Linux 5.10.
OF_5_10 = "Validating f() func#1...\nArg#1 type PTR in f() is not supported yet.\n"


def test_a_verifier_without_pointer_arguments_is_too_old() -> None:
    error = explained(VerifierError(errno.EINVAL, "load", OF_5_10))
    assert error
    assert "too old" in str(error)
    assert "5.15" in error.hint


def test_missing_memory_is_explained_with_the_options_for_it() -> None:
    error = explained(BpfError(errno.ENOMEM, "load"))
    assert error
    assert "--flow-cache" in error.hint


def test_other_refusals_have_no_explanation() -> None:
    assert explained(VerifierError(errno.EACCES, "load", "R2 unbounded memory access")) is None
    assert explained(BpfError(errno.EPERM, "load")) is None

"""Check whether `pktexp serve` would work on this machine, without attaching a program.

Each requirement is checked by the function that `serve` itself calls, so both give the same answer
and the same error. The BPF programs are loaded, since only the verifier knows whether it accepts
them, and unloaded again.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

from pktexp import logs, privileges
from pktexp.bpf import layout, libbpf
from pktexp.bpf.datapath import OBJECT, Datapath
from pktexp.bpf.libbpf import Libbpf, VerifierError
from pktexp.bpf.object import BpfObject
from pktexp.bpf.pins import open_pins
from pktexp.bpf.probes import highest_online_cpu
from pktexp.commands.check import cgroups, interfaces, kernel
from pktexp.commands.check.findings import Checked, Finding, State, finding
from pktexp.commands.serve.files import declared
from pktexp.errors import PktexpError
from pktexp.kubernetes import naming
from pktexp.pipeline import datapath_options, require_memory
from pktexp.settings import Settings
from pktexp.web.listen import listen

log = logging.getLogger(__name__)

REFUSED = (
    "the capabilities are sufficient, but a seccomp filter (container: --security-opt "
    "seccomp=unconfined) or a security module refuses it; allow bpf(2) there"
)


def check(settings: Settings) -> Checked:
    """Return all findings; a requirement that is not met is a finding, not an error."""
    privileged = not privileges.missing(privileges.effective()) and not privileges.confined()
    lib, found = _library()
    with lib.quiet() if lib else nullcontext():
        allowed = privileged and lib is not None and kernel.may_ask(lib)
        findings = [found, *kernel.findings(lib, allowed), *_capabilities()]
        tcx = kernel.has_tcx(lib, allowed) if lib else None
        findings.append(room := _memory(settings))
        if lib:
            findings += [_object(lib), _programs(lib, settings, privileged, room)]
            if settings.cgroups:
                findings.append(cgroups.check(lib, settings.max_cgroups, allowed))
            if settings.pin:
                findings.append(_pins(lib, settings.pin, allowed))
    findings += [_address(settings), *_files(settings)]
    if settings.kubernetes:
        findings.append(_api_server(settings))
    links, listed = interfaces.listed()
    findings += [listed, *interfaces.findings(links, settings)]
    if lib and allowed and tcx:
        findings += interfaces.other_processes(lib, links, settings.pin)
    return Checked(findings, interfaces.places(links, settings, tcx))


def _library() -> tuple[Libbpf | None, Finding]:
    try:
        lib = libbpf.find()
    except PktexpError as error:
        return None, finding("libbpf", "libbpf", False, str(error), error.hint)
    return lib, finding("libbpf", "libbpf", True, f"{lib.version} ({lib.path})")


def _capabilities() -> Iterator[Finding]:
    missing, confined = privileges.missing(privileges.effective()), privileges.confined()
    for name, purpose in privileges.PURPOSES.items():
        if name in missing:
            yield finding("capabilities", name, False, purpose, privileges.GRANT)
        elif confined:
            detail = f"{purpose}; held, but only inside a user namespace"
            yield finding("capabilities", name, False, detail, privileges.LEAVE)
        else:
            yield finding("capabilities", name, True, purpose)


def _object(lib: Libbpf) -> Finding:
    def compare_layout() -> None:
        opened = BpfObject(lib, OBJECT)
        try:
            layout.check(opened.btf)
        finally:
            opened.close()

    return _tried("programs", "BPF object", str(OBJECT), compare_layout)


def _memory(settings: Settings) -> Finding:
    try:
        return finding("programs", "memory", True, require_memory(settings))
    except PktexpError as error:
        return finding("programs", "memory", False, str(error), error.hint)
    except OSError as error:  # without sysfs, which is a finding of its own
        return finding("programs", "memory", None, str(error))


def _programs(lib: Libbpf, settings: Settings, privileged: bool, room: Finding) -> Finding:
    if not privileged:
        return finding("programs", "BPF programs", None, "not loaded without the capabilities")
    if room.state is State.NO:
        return finding("programs", "BPF programs", None, "not loaded without the memory")
    return _tried(
        "programs",
        "BPF programs",
        "accepted by the kernel (loaded and unloaded)",
        lambda: Datapath(lib, datapath_options(settings, highest_online_cpu() + 1)).close(),
    )


def _pins(lib: Libbpf, path: Path, allowed: bool) -> Finding:
    if not allowed:  # whether the kernel has TCX, which pins need, is unknown
        return finding("programs", "pins", None, f"{path} not opened without the capabilities")

    def open_folder() -> None:
        is_new = not path.exists()
        try:
            open_pins(lib, path).close()
        finally:
            if is_new and path.is_dir():
                path.rmdir()

    return _tried("programs", "pins", f"{path} can hold pins", open_folder)


def _address(settings: Settings) -> Finding:
    detail = f"{settings.listen or '*'}, port {settings.port} is free"
    return _tried(
        "serving", "address", detail, lambda: listen(settings.listen, settings.port).close()
    )


def _files(settings: Settings) -> Iterator[Finding]:
    _, named = declared(settings)
    for purpose, path, read in named:
        yield _tried("serving", purpose, f"{path} is valid", read)


def _api_server(settings: Settings) -> Finding:
    """Check the client, the node's name and the credentials; sends no request."""
    try:
        server = naming.require(settings)
    except PktexpError as error:
        return finding("serving", "pod names", False, str(error), error.hint)
    return finding("serving", "pod names", True, f"credentials for {server}")


def _tried(section: str, name: str, detail: str, attempt: Callable[[], None]) -> Finding:
    """Run `attempt`; an error becomes the detail of the finding, and its hint the remedy."""
    try:
        attempt()
    except PktexpError as error:
        return finding(section, name, False, str(error), error.hint)
    except VerifierError as error:
        logs.debug_lines(log, "the verifier", error.log)
        remedy = "--log-level debug shows the verifier's log"
        return finding(section, name, False, str(error), remedy)
    except OSError as error:
        refused = error.errno in (errno.EPERM, errno.EACCES)
        remedy = REFUSED if refused else "--log-level debug shows libbpf's messages"
        return finding(section, name, False, str(error), remedy)
    return finding(section, name, True, detail)

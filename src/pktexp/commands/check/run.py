"""The story of `pktexp check`: what stands between this machine and `pktexp serve`.

It asks what `serve` asks, and in the same words; loads the programs, as nothing else tells whether
the verifier takes them, and lets them go; and attaches nothing. Shown by checkreport.py.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

from pktexp import privileges
from pktexp.assembly import datapath_options
from pktexp.bpf import layout, libbpf
from pktexp.bpf.datapath import OBJECT, Datapath
from pktexp.bpf.libbpf import Libbpf, VerifierError
from pktexp.bpf.object import BpfObject
from pktexp.bpf.pins import open_pins
from pktexp.commands.check import forecast, kernel
from pktexp.commands.check.rows import Checked, Place, Row, row
from pktexp.errors import PktexpError
from pktexp.interfaces.namefilter import NameFilter
from pktexp.kubernetes import naming
from pktexp.netlink import driver
from pktexp.netlink.linkinfo import Link
from pktexp.netlink.links import LinkMonitor
from pktexp.settings import Settings
from pktexp.web.listen import listen
from pktexp.web.security import Security

log = logging.getLogger(__name__)

NOT_TOLD = "unknown"
REFUSED = (
    "not for want of capabilities: a seccomp filter (container: --security-opt "
    "seccomp=unconfined), or a security module, forbids it"
)


def check(settings: Settings) -> Checked:
    """Everything that can be known; whatever is missing is in a row, and never raised."""
    privileged = not privileges.missing(privileges.effective()) and not privileges.confined()
    lib, found = _library()
    with lib.quiet() if lib else nullcontext():
        allowed = privileged and lib is not None and kernel.may_ask(lib)
        rows = [found, *kernel.rows(lib, allowed), *_capabilities()]
        tcx = kernel.has_tcx(lib, allowed) if lib else None
        if lib:
            rows += [_object(lib), _programs(lib, settings, privileged)]
            if settings.pin:
                rows.append(_pins(lib, settings.pin))
    rows.append(_address(settings))
    if settings.web_config:
        rows.append(_web_config(settings.web_config))
    if settings.kubernetes:
        rows.append(_api_server(settings))
    links, told = _links()
    rows += [told, *_wanted(links, settings)]
    return Checked(rows, _places(links, settings, tcx))


def _library() -> tuple[Libbpf | None, Row]:
    try:
        lib = libbpf.find()
    except PktexpError as error:
        return None, row("libbpf", "libbpf", False, str(error), error.hint)
    return lib, row("libbpf", "libbpf", True, f"{lib.version} ({lib.path})")


def _capabilities() -> Iterator[Row]:
    missing, confined = privileges.missing(privileges.effective()), privileges.confined()
    for name, purpose in privileges.PURPOSES.items():
        if name in missing:
            yield row("capabilities", name, False, purpose, privileges.GRANT)
        elif confined:
            detail = f"{purpose}; held, but only inside a user namespace"
            yield row("capabilities", name, False, detail, privileges.LEAVE)
        else:
            yield row("capabilities", name, True, purpose)


def _object(lib: Libbpf) -> Row:
    def fit() -> None:
        opened = BpfObject(lib, OBJECT)
        try:
            layout.check(opened.btf)
        finally:
            opened.close()

    return _tried("programs", "BPF object", str(OBJECT), fit)


def _programs(lib: Libbpf, settings: Settings, privileged: bool) -> Row:
    detail = "the kernel takes them (loaded, and let go)"
    if not privileged:
        return row("programs", "BPF programs", None, "not tried without the capabilities")
    return _tried(
        "programs",
        "BPF programs",
        detail,
        lambda: Datapath(lib, datapath_options(settings)).close(),
    )


def _pins(lib: Libbpf, path: Path) -> Row:
    def take() -> None:
        is_new = not path.exists()
        open_pins(lib, path).close()
        if is_new:
            path.rmdir()

    return _tried("programs", "pins", f"{path} can have them", take)


def _address(settings: Settings) -> Row:
    where = f"{settings.listen or '*'}, port {settings.port}"
    detail = f"{where} is free"
    return _tried(
        "serving", "address", detail, lambda: listen(settings.listen, settings.port).close()
    )


def _web_config(path: Path) -> Row:
    return _tried("serving", "web", f"{path} is good", Security(path).read)


def _api_server(settings: Settings) -> Row:
    """Whether it could be asked; it is not."""
    try:
        server = naming.require(settings)
    except PktexpError as error:
        return row("serving", "pod names", False, str(error), error.hint)
    return row("serving", "pod names", True, f"credentials for {server}")


def _tried(section: str, name: str, detail: str, attempt: Callable[[], None]) -> Row:
    """A row about what works if no error comes of it, and what to do about the error."""
    try:
        attempt()
    except PktexpError as error:
        return row(section, name, False, str(error), error.hint)
    except VerifierError as error:
        log.debug("the verifier's log:\n%s", error.log)
        return row(section, name, False, str(error), "--log-level debug shows the verifier's log")
    except OSError as error:
        refused = error.errno in (errno.EPERM, errno.EACCES)
        remedy = REFUSED if refused else "--log-level debug shows libbpf's messages"
        return row(section, name, False, str(error), remedy)
    return row(section, name, True, detail)


def _links() -> tuple[list[Link], Row]:
    """The interfaces, and whether they can be followed."""
    try:
        monitor = LinkMonitor()
    except PktexpError as error:
        return [], row("interfaces", "netlink", False, str(error), error.hint)
    monitor.close()
    links = [link for _, link in sorted(monitor.links.items())]
    return links, row("interfaces", "netlink", True, f"lists {len(links)}")


def _wanted(links: Sequence[Link], settings: Settings) -> Iterator[Row]:
    wanted = NameFilter(settings.interfaces, settings.exclude_interfaces)
    names = [link.name for link in links]
    count, limit = len([name for name in names if wanted(name)]), settings.max_interfaces
    detail = f"{count} to be counted, room for {limit}"
    yield row("interfaces", "room", count <= limit, detail, "raise --max-interfaces")
    for glob in wanted.idle(names):
        yield row("interfaces", glob, False, "matches no interface now", needed=False)


def _places(links: Sequence[Link], settings: Settings, tcx: bool | None) -> list[Place]:
    wanted = NameFilter(settings.interfaces, settings.exclude_interfaces)
    native_xdp = driver.native_xdp()
    return [
        Place(
            link.name,
            link.kind,
            link.interface_class,
            driver.name(link.name),
            *_hooks(link, settings, wanted, tcx, native_xdp.get(link.ifindex)),
        )
        for link in links
    ]


def _hooks(
    link: Link, settings: Settings, wanted: NameFilter, tcx: bool | None, native_xdp: bool | None
) -> tuple[str, str, str]:
    """At ingress, at egress, and why."""
    if why := wanted.why_not(link.name):
        return "", "", why
    if tcx is None:
        return NOT_TOLD, NOT_TOLD, "whether the kernel has TCX is not known"
    ingress, why = forecast.ingress(settings.ingress, link, tcx, native_xdp)
    return ingress, forecast.egress(tcx) if settings.egress else "", why

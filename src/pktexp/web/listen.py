"""Open the listening socket, with errors that say what to change."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from urllib.parse import quote

from pktexp.errors import PktexpError

BACKLOG = 1024  # a client beyond it retries only after a second, also a scrape during a burst


def listen(address: str, port: int) -> socket.socket:
    """Return a listening TCP socket; "" is every IPv6 and IPv4 address, port 0 any free port.

    A link-local address has its interface as scope: fe80::1%eth0, or the index in place of the
    name. Raises PktexpError if the address is invalid or the port in use.
    """
    require_scope(address)
    try:
        return _listen_everywhere(port) if not address else _listen_at(address, port)
    except socket.gaierror as error:
        message = f"cannot listen on '{address}': {error.strerror}"
        raise PktexpError(message, "set --listen to an IP address of this machine") from error
    except OSError as error:
        message = f"cannot listen on {address or '*'}, port {port}: {error.strerror}"
        raise PktexpError(message, _hint(error.errno, port)) from error


def require_scope(address: str) -> None:
    """Raise PktexpError if a link-local address lacks its interface, or the interface is absent."""
    host, percent, scope = address.partition("%")
    message = f"cannot use the address '{address}'"
    if percent and not _is_interface(scope):
        raise PktexpError(
            f"{message}: no interface named '{scope}'", "'ip link' lists the interfaces"
        )
    if not percent and _is_link_local(host):
        hint = f"append the interface: {host}%NAME; 'ip -6 address' shows which has it"
        raise PktexpError(f"{message}: a link-local address needs its interface", hint)


def url(listening: socket.socket, scheme: str) -> str:
    """Return the URL of the service, with `localhost` where it listens on every address."""
    host, port, *rest = listening.getsockname()
    if host in ("::", "0.0.0.0"):
        host = "localhost"
    if rest and (scope := rest[1]):
        host += f"%25{quote(socket.if_indextoname(scope), safe='')}"  # RFC 6874
    return f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"


def _listen_everywhere(port: int) -> socket.socket:
    try:
        return socket.create_server(
            ("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
        )
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise
        return socket.create_server(("", port), backlog=BACKLOG)  # IPv6 is disabled


def _listen_at(address: str, port: int) -> socket.socket:
    family, _, _, _, sockaddr = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(sockaddr, family=family, backlog=BACKLOG)


def _is_interface(scope: str) -> bool:
    """Return whether this is the name or the index of an interface."""
    with contextlib.suppress(OSError, ValueError):
        return bool(socket.if_nametoindex(scope))
    with contextlib.suppress(OSError, ValueError, OverflowError):
        return bool(socket.if_indextoname(int(scope)))
    return False


def _is_link_local(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.IPv6Address(host).is_link_local
    return False


def _hint(code: int | None, port: int) -> str:
    if code == errno.EADDRINUSE:
        return f"choose another --port; 'ss -ltnp sport = :{port}' shows the process that uses it"
    if code == errno.EADDRNOTAVAIL:
        return "set --listen to an address of this machine; 'ip address' lists them"
    if code == errno.EACCES:
        return "ports below 1024 need root or CAP_NET_BIND_SERVICE"
    return "choose another --listen or --port"

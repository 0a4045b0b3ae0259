"""Open the listening socket, with errors that say what to change."""

from __future__ import annotations

import errno
import socket

from pktexp.errors import PktexpError

BACKLOG = 1024  # a client beyond it retries only after a second, also a scrape during a burst


def listen(address: str, port: int) -> socket.socket:
    """Return a listening TCP socket; "" is every IPv6 and IPv4 address, port 0 any free port.

    Raises PktexpError if the address is invalid or the port in use.
    """
    try:
        return _listen_everywhere(port) if not address else _listen_at(address, port)
    except socket.gaierror as error:
        message = f"cannot listen on '{address}': {error.strerror}"
        raise PktexpError(message, "set --listen to an IP address of this machine") from error
    except OSError as error:
        message = f"cannot listen on {address or '*'}, port {port}: {error.strerror}"
        raise PktexpError(message, _hint(error.errno, port)) from error


def url(listening: socket.socket, scheme: str) -> str:
    """Return the URL of the service, with `localhost` where it listens on every address."""
    host, port = listening.getsockname()[:2]
    if host in ("::", "0.0.0.0"):
        host = "localhost"
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
    return socket.create_server(sockaddr[:2], family=family, backlog=BACKLOG)


def _hint(code: int | None, port: int) -> str:
    if code == errno.EADDRINUSE:
        return f"choose another --port; 'ss -ltnp sport = :{port}' shows the process that uses it"
    if code == errno.EADDRNOTAVAIL:
        return "set --listen to an address of this machine; 'ip address' lists them"
    if code == errno.EACCES:
        return "ports below 1024 need root or CAP_NET_BIND_SERVICE"
    return "choose another --listen or --port"

"""`pktexp healthcheck`: check whether `pktexp serve` answers.

The container image runs this module by `python3 -m` every half minute. It imports only small
modules: importing all that `serve` needs takes eight times as long.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl

import click

from pktexp.commands.declare import listen, port
from pktexp.errors import PktexpError, escaped
from pktexp.web.listen import require_scope

LOOPBACK = "127.0.0.1"
TIMEOUT = 3.0  # seconds, for plain HTTP and again for TLS; the image allows ten in total
ALIVE = (200, 401)  # a password may be required, even for /healthz
HINT = "check that serve runs with this --port and --listen"


@click.command(params=[port, listen])
def healthcheck(port: int, listen: str) -> None:
    """Check whether `serve` with the same options answers; exit with status 0 if so, else 1.

    Tries HTTP, then HTTPS without verifying the certificate.
    """
    if not port:
        raise click.UsageError("port 0 cannot be checked: give the port in the log of serve")
    host = listen or LOOPBACK
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    problem = trouble(host, port)
    line = f"not alive at {where}: {problem} ({HINT})" if problem else f"alive at {where}"
    click.echo(escaped(line))
    raise click.exceptions.Exit(1 if problem else 0)


def trouble(host: str, port: int) -> str:
    """Return why /healthz does not answer; "" if it does."""
    try:
        require_scope(host)
        try:
            return _ask(http.client.HTTPConnection(host, port, timeout=TIMEOUT))
        except (http.client.HTTPException, ConnectionResetError):
            return _ask_by_tls(host, port)
    except (http.client.HTTPException, OSError, PktexpError) as error:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _ask_by_tls(host: str, port: int) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing secret is sent, and the certificate need not be valid for the loopback address.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=context)
    try:
        connection.connect()
    except ssl.SSLError as error:
        # An alert comes from a live server, for example because it requires a client certificate.
        if "ALERT" in (error.reason or ""):
            return ""
        raise
    # After the handshake the server is alive, even if it closes the connection now: in TLS 1.3 it
    # verifies the client certificate after the handshake, and its alert may be lost with the close.
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        return _ask(connection)
    return ""


def _ask(connection: http.client.HTTPConnection) -> str:
    try:
        # Without the scope, which has a meaning only on this host (RFC 6874, section 1).
        host = connection.host.partition("%")[0]
        name = f"[{host}]" if ":" in host else host
        connection.request("GET", "/healthz", headers={"Host": f"{name}:{connection.port}"})
        status = connection.getresponse().status
    finally:
        connection.close()
    return "" if status in ALIVE else f"HTTP status {status}"


if __name__ == "__main__":
    healthcheck()

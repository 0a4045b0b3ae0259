"""`pktexp healthcheck`: whether a `pktexp serve` answers, for the image's HEALTHCHECK.

Takes from pktexp only what declares the two options (declaring.py): what serving needs takes eight
times as long to import, every half minute. The image runs it as a module, by `python3 -m`.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl

import click

from pktexp.commands import declare

LOOPBACK = "127.0.0.1"
PATIENCE = 3.0  # seconds, first for plain HTTP and then for TLS; the image allows ten in all
ALIVE = (200, 401)  # it may want a password, even for this
HINT = "does serve run, with this --port and --listen?"


@click.command()
@declare.port
@declare.listen
def healthcheck(port: int, listen: str) -> None:
    """Say whether `serve` with the same options answers: in one line, and with status 0 or 1.

    Takes HTTP and HTTPS, and verifies no certificate.
    """
    if not port:
        raise click.UsageError("port 0 is not the one that serve picked: its log has it")
    host = listen or LOOPBACK
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    problem = trouble(host, port)
    click.echo(f"not alive at {where}: {problem} ({HINT})" if problem else f"alive at {where}")
    raise click.exceptions.Exit(1 if problem else 0)


def trouble(host: str, port: int) -> str:
    """What is wrong with /healthz there; "" if nothing is."""
    try:
        try:
            return _ask(http.client.HTTPConnection(host, port, timeout=PATIENCE))
        except (http.client.HTTPException, ConnectionResetError):
            return _ask_by_tls(host, port)
    except (http.client.HTTPException, OSError) as error:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _ask_by_tls(host: str, port: int) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing secret is sent, and the certificate is for the names by which others know the machine.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=context)
    try:
        connection.connect()
    except ssl.SSLError as error:
        # An alert is the server's own word, such as that it wants a client's certificate.
        if "ALERT" in (error.reason or ""):
            return ""
        raise
    # Whoever has shaken hands is alive, even if it breaks off now: in TLS 1.3 a server asks for the
    # client's certificate only afterwards, and its alert may be lost when it closes the connection.
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        return _ask(connection)
    return ""


def _ask(connection: http.client.HTTPConnection) -> str:
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    finally:
        connection.close()
    return "" if status in ALIVE else f"HTTP status {status}"


if __name__ == "__main__":
    healthcheck()

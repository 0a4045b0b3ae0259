"""The command `pktexp top` and its options."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import click

from pktexp import logs
from pktexp.commands import terminal
from pktexp.commands.declare import option
from pktexp.commands.options import COUNTING, FILE, settings_of

PASSWORD = "PKTEXP_TOP_PASSWORD"  # the name of a variable

OPTIONS = (
    option(
        "--url",
        default="",
        metavar="URL",
        help="A running service, such as http://localhost:8080/. If not given, top counts by "
        "itself while it runs, with the options of serve.",
    ),
    option("--user", default="", help=f"User name for the service; {PASSWORD} has the password."),
    option("--ca-file", type=FILE, metavar="FILE", help="CA of the service's certificate, in PEM."),
    option("--cert", type=FILE, metavar="FILE", help="Client certificate, in PEM."),
    option(
        "--key",
        type=FILE,
        metavar="FILE",
        help="Private key of --cert, in PEM, if it is not in the same file.",
    ),
    click.Option(["--once"], is_flag=True, help="Print one table and exit."),
    click.Option(["--json", "as_json"], is_flag=True, help="With --once: print one JSON object."),
    option(
        "--log-level",
        type=click.Choice(logs.LEVELS, case_sensitive=False),
        default="warning",
        help="Lowest level of the log lines to show, after the screen is closed.",
    ),
)


@click.command(params=[*OPTIONS, *COUNTING])
def top(
    url: str,
    user: str,
    ca_file: Path | None,
    cert: Path | None,
    key: Path | None,
    once: bool,
    as_json: bool,
    log_level: str,
    **values: Any,
) -> None:
    """Show interfaces and talkers in the terminal, updated every second."""
    # Imported here, since `serve` does not need it.
    from pktexp.commands.top.remote import Credentials  # noqa: PLC0415
    from pktexp.commands.top.run import Wanted, run  # noqa: PLC0415

    if as_json and not once:
        raise click.UsageError("--json needs --once")
    if url and not url.startswith(("http://", "https://")):
        raise click.UsageError(f"'{url}' is not a URL such as http://localhost:8080/")
    logs.configure(log_level, "text")
    credentials = Credentials(user, os.environ.get(PASSWORD, ""), ca_file, cert, key)
    wanted = Wanted(url, credentials, settings_of(values), once, as_json)
    terminal.echo(asyncio.run(run(wanted)))

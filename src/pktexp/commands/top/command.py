"""`pktexp top` as a command; cli.py adds it, and top/ does it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pktexp import logs
from pktexp.commands.declare import option
from pktexp.commands.options import NOT_SERVING, settings_of

PASSWORD = "PKTEXP_TOP_PASSWORD"  # the name of a variable
FILE = click.Path(path_type=Path)


def top_command(serving: Sequence[click.Parameter]) -> click.Command:
    """With those options of `serve` that are about counting."""
    others = {*NOT_SERVING, "log_format", "log_level"}
    counting = [parameter for parameter in serving if parameter.name not in others]
    top.params += counting
    return top


@click.command()
@option(
    "--url",
    default="",
    metavar="URL",
    help="A running service, as http://localhost:8080/; if not given, counts by itself, with the "
    "options of serve, for as long as it runs.",
)
@option("--user", default="", help=f"Name for the service; its password is in {PASSWORD}.")
@option("--ca-file", type=FILE, help="Who vouches for the service's certificate, in PEM.")
@option("--cert", type=FILE, help="A certificate to show to the service, in PEM.")
@option("--key", type=FILE, help="Its key, if it is not in the same file.")
@click.option("--once", is_flag=True, help="Print what goes on, and end.")
@click.option("--json", "as_json", is_flag=True, help="With --once: one object, for programs.")
@option(
    "--log-level",
    type=click.Choice(logs.LEVELS, case_sensitive=False),
    default="warning",
    help="Least severe lines to show, after the screen.",
)
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
    """Show interfaces and talkers in the terminal, each second."""
    # Imported here, as `serve` needs none of it.
    from pktexp.commands.top.remote import Credentials  # noqa: PLC0415
    from pktexp.commands.top.run import Wanted, run  # noqa: PLC0415

    if as_json and not once:
        raise click.UsageError("--json goes with --once")
    if url and not url.startswith(("http://", "https://")):
        raise click.UsageError(f"'{url}' is no address like http://localhost:8080/")
    logs.configure(log_level, "text")
    credentials = Credentials(user, os.environ.get(PASSWORD, ""), ca_file, cert, key)
    wanted = Wanted(url, credentials, settings_of(values), once, as_json)
    click.echo(asyncio.run(run(wanted)), nl=once)

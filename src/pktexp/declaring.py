"""How options are declared, and where `serve` is found; for options.py, cli.py and healthcheck.py.

Imports nothing of pktexp: healthcheck.py runs every half minute, and has no use for the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def option(flag: str, *old_names: str, **settings: Any) -> Callable[[F], F]:
    """An option with its PKTEXP_ variable, and the original tool's names after it."""
    name = "PKTEXP_" + flag.partition("/")[0].lstrip("-").replace("-", "_").upper()
    return click.option(
        flag, envvar=[name, *old_names], show_default=True, show_envvar=True, **settings
    )


port = option(
    "--port",
    "PE_PORT",
    type=click.IntRange(0, 65535),
    default=8080,
    help="TCP port; 0 picks one, and logs it.",
)
listen = option(
    "--listen",
    default="",
    metavar="ADDR",
    help="IPv4 or IPv6 address to listen on; all of them if not given.",
)

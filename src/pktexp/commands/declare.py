"""How options are declared, and where `serve` is found; for options.py, cli.py and healthcheck.py.

Imports nothing of pktexp: healthcheck.py runs every half minute, and has no use for the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def option(
    flag: str, *old_names: str, also: Sequence[str] = (), **settings: Any
) -> Callable[[F], F]:
    """An option with a PKTEXP_ variable for each flag, and the original tool's names after these.

    `also`: other flags for it, the first of which names the parameter.
    """
    names = [_name(each) for each in (*also, flag)]
    variables = [*(f"PKTEXP_{name.upper()}" for name in names), *old_names]
    declared = (flag, *also, names[0])
    return click.option(
        *declared, envvar=variables, show_default=True, show_envvar=True, **settings
    )


def _name(flag: str) -> str:
    return re.sub("[-.]", "_", flag.partition("/")[0].lstrip("-"))


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

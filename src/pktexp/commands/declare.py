"""Declare options, and the two that say where `serve` listens.

Imports nothing else of pktexp: the health check runs every half minute and starts quickly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import click


def option(
    flag: str, *old_names: str, also: Sequence[str] = (), default: Any = None, **settings: Any
) -> click.Option:
    """Return an option with a PKTEXP_ variable for each of its flags.

    `also` has further flags; the first of them names the parameter. `old_names` are variables of
    packet-exporter, which are read after the PKTEXP_ ones.
    """
    names = [_name(each) for each in (*also, flag)]
    variables = [*(f"PKTEXP_{name.upper()}" for name in names), *old_names]
    return click.Option(
        (flag, *also, names[0]),
        envvar=variables,
        default=default,
        show_default=True,
        show_envvar=True,
        **settings,
    )


def _name(flag: str) -> str:
    return re.sub("[-.]", "_", flag.partition("/")[0].lstrip("-"))


port = option(
    "--port",
    "PE_PORT",
    type=click.IntRange(0, 65535),
    default=8080,
    help="TCP port; 0 picks a free port and logs it.",
)
listen = option(
    "--listen",
    default="",
    metavar="ADDR",
    help="IPv4 or IPv6 address to listen on, link-local as fe80::1%eth0; all if not given.",
)

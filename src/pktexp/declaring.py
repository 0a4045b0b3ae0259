"""How options are declared, and where `serve` is found; for options.py, cli.py and healthcheck.py.

Imports nothing of pktexp: healthcheck.py runs every half minute, and has no use for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def option(
    flag: str, *old_names: str, also: Sequence[str] = (), **settings: Any
) -> Callable[[F], F]:
    """An option with its PKTEXP_ variable, and the original tool's names after it.

    `also`: other flags for it, the first of which names variable and parameter.
    """
    name = (also[0] if also else flag).partition("/")[0].lstrip("-").replace("-", "_")
    variables = [f"PKTEXP_{name.upper()}", *old_names]
    declared = (flag, *also, name) if also else (flag,)
    return click.option(
        *declared, envvar=variables, show_default=True, show_envvar=True, **settings
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

"""The command line: flags and environment become Settings (settings.py), here and nowhere else."""

from __future__ import annotations

import asyncio
import logging
import mmap
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
import uvloop

from pktexp import __version__, labels, logs
from pktexp.errors import PktexpError
from pktexp.kernel.enums import Tunnel
from pktexp.kernel.hooks import IngressMode
from pktexp.kernel.libbpf import VerifierError
from pktexp.service import serve as run_service
from pktexp.settings import EventMode, FlowMode, Settings

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


class PowerOfTwo(click.ParamType[int]):
    """A power of two within bounds, as the kernel wants a ring's size."""

    name = "bytes"

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """The number; click's usage error if it is none of these."""
        try:
            number = int(value)
        except ValueError:
            self.fail(f"'{value}' is not a number", param, ctx)
        if not self.least <= number <= self.most or number & (number - 1):
            self.fail(
                f"{number} is not a power of two from {self.least} to {self.most}", param, ctx
            )
        return number


def option(flag: str, *old_names: str, **settings: Any) -> Callable[[F], F]:
    """An option with its PKTEXP_ variable, and the original tool's names after it."""
    name = "PKTEXP_" + flag.partition("/")[0].lstrip("-").replace("-", "_").upper()
    return click.option(
        flag, envvar=[name, *old_names], show_default=True, show_envvar=True, **settings
    )


class Tunnels(click.ParamType[frozenset[Tunnel]]):
    """Names of tunnels with commas between, or "all"."""

    name = "kinds"

    def convert(self, value: Any, param: Any, ctx: Any) -> frozenset[Tunnel]:
        """The tunnels; click's usage error if one is not known."""
        if isinstance(value, frozenset):
            return value
        known = {name: tunnel for tunnel, name in labels.TUNNELS.items()}
        wanted = {name.strip().lower() for name in value.split(",") if name.strip()}
        if wanted == {"all"}:
            return frozenset(Tunnel)
        if unknown := sorted(wanted - known.keys()):
            self.fail(f"'{unknown[0]}' is none of: all, {', '.join(known)}", param, ctx)
        return frozenset(known[name] for name in wanted)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="pktexp", message="%(prog)s %(version)s")
def cli() -> None:
    """Count every packet on every network interface, for Prometheus."""


@cli.command()
@option(
    "--port", "PE_PORT", type=click.IntRange(0, 65535), default=8080, help="TCP port; 0 picks one."
)
@option("--listen", default="", metavar="ADDR", help="Address to listen on; all if not given.")
@option(
    "--interfaces", multiple=True, metavar="GLOB", help="Interfaces to count; all if not given."
)
@option("--exclude-interfaces", multiple=True, metavar="GLOB", help="Interfaces not to count.")
@option(
    "--max-interfaces",
    type=PowerOfTwo(16, 1 << 16),
    default=512,
    help="Interfaces that can be counted at one time.",
)
@option(
    "--ingress",
    type=click.Choice([mode.value for mode in IngressMode], case_sensitive=False),
    default=IngressMode.AUTO.value,
    help="Hook for what comes in; auto: native XDP where hardware is behind, else TCX.",
)
@option("--egress/--no-egress", default=True, help="Count what goes out.")
@option(
    "--decap",
    type=Tunnels(),
    default="",
    metavar="KINDS",
    help="Tunnels to look into, as a list, or all: flows then are those inside.",
)
@option(
    "--flows",
    type=click.Choice([mode.value for mode in FlowMode], case_sensitive=False),
    default=FlowMode.HOSTS.value,
    help="What tells one flow from another.",
)
@option(
    "--max-flows", type=click.IntRange(1, 100_000), default=1000, help="Flows shown one by one."
)
@option(
    "--events",
    type=click.Choice([mode.value for mode in EventMode], case_sensitive=False),
    default=EventMode.FLOW.value,
    help="What a record from the kernel stands for.",
)
@option(
    "--flow-cache",
    type=PowerOfTwo(16, 1 << 20),
    default=16384,
    help="Flows that a CPU sums up before it sends a record.",
)
@option("--workers", "PE_WORKERS", type=click.IntRange(1, 256), default=1, help="Ring buffers.")
@option(
    "--ring-size",
    type=PowerOfTwo(mmap.PAGESIZE, 1 << 30),
    default=8 << 20,
    help="Size of a ring buffer.",
)
@option(
    "--log-level",
    type=click.Choice(logs.LEVELS, case_sensitive=False),
    default="info",
    help="Least severe to show.",
)
@option(
    "--log-format",
    type=click.Choice(logs.FORMATS, case_sensitive=False),
    default="text",
    help="Form of log lines.",
)
def serve(log_level: str, log_format: str, **values: Any) -> None:
    """Attach to the interfaces and serve /metrics until told to stop."""
    logs.configure(log_level, log_format)
    for name, kind in (("flows", FlowMode), ("events", EventMode), ("ingress", IngressMode)):
        values[name] = kind(values[name])
    uvloop.run(run_service(Settings(**values)))


def main() -> None:
    """Run the command; every error that can be foreseen is one line and a non-zero exit status."""
    try:
        sys.exit(cli.main(standalone_mode=False, prog_name="pktexp"))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        command = (
            error.ctx.command_path
            if isinstance(error, click.UsageError) and error.ctx
            else "pktexp"
        )
        _fail(error.format_message(), f"see '{command} --help'", error.exit_code)
    except PktexpError as error:
        _fail(str(error), error.hint)
    except VerifierError as error:
        log.debug("the verifier's log:\n%s", error.log)
        _fail(str(error), "--log-level debug shows the verifier's log")
    except (OSError, click.Abort, asyncio.CancelledError) as error:
        _fail(str(error) or "interrupted", "--log-level debug shows where")


def _fail(message: str, hint: str, status: int = 1) -> None:
    """One line, and the traceback at debug level; ends the process."""
    log.debug("traceback", exc_info=sys.exc_info())
    click.echo(f"pktexp: error: {' '.join(message.split())} ({hint})", err=True)
    sys.exit(status)

"""The command line: parse options and run a command; a foreseen error is one line.

Modules that `serve` does not need are imported by the commands that do, since they cost memory.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import click
import uvloop

from pktexp import __version__, logs
from pktexp.bpf.libbpf import VerifierError
from pktexp.commands import terminal
from pktexp.commands.healthcheck import healthcheck
from pktexp.commands.options import FLOWS, LOGGING, SERVE, settings_of
from pktexp.commands.paramtypes import OneOf
from pktexp.commands.serve.run import serve as run_service
from pktexp.commands.top.command import top
from pktexp.errors import PktexpError, escaped
from pktexp.packet.enums import Tunnel
from pktexp.settings import FlowMode, Format

log = logging.getLogger(__name__)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="pktexp", message="%(prog)s %(version)s")
def cli() -> None:
    """Count every packet on every network interface, for Prometheus."""


cli.add_command(healthcheck)
cli.add_command(top)


@cli.command(params=[*SERVE])
def serve(log_level: str, log_format: str, **values: Any) -> None:
    """Attach to the interfaces and serve /metrics until stopped."""
    logs.configure(log_level, log_format)
    uvloop.run(run_service(settings_of(values)))


@cli.command(params=[*SERVE])
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(log_level: str, log_format: str, as_json: bool, **values: Any) -> None:
    """Check whether `serve` would work here with the same options, and which hooks it would use.

    Exits with status 1 if it would not. Attaches nothing and changes no interface.
    """
    from pktexp.commands.check import report  # noqa: PLC0415
    from pktexp.commands.check.run import check as run_check  # noqa: PLC0415

    logs.configure(log_level, log_format)
    checked = run_check(settings_of(values))
    terminal.echo(report.document(checked) if as_json else report.table(checked))
    raise click.exceptions.Exit(0 if checked.works else 1)


@cli.command(params=[*FLOWS, *LOGGING])
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=OneOf(Format),
    default=Format.PROMETHEUS.value,
    show_default=True,
    help="Prometheus text, or only the flows, as a table or JSON.",
)
def replay(
    file: Path,
    log_level: str,
    log_format: str,
    decap: frozenset[Tunnel],
    flows: FlowMode,
    max_flows: int,
    form: Format,
) -> None:
    """Count the packets of a capture as if an interface received them, and print the metrics.

    Reads pcap and pcapng, also gzip'd. Attaches nothing and changes no interface.
    """
    from pktexp.commands.replay.report import report  # noqa: PLC0415
    from pktexp.commands.replay.run import replay as run_replay  # noqa: PLC0415

    if flows is FlowMode.OFF and form is not Format.PROMETHEUS:
        raise click.UsageError(
            f"--format {form} shows only flows: it needs a --flows other than off"
        )
    logs.configure(log_level, log_format)
    replayed = run_replay(file, flows, decap)
    terminal.echo(report(replayed, form, max_flows))
    for reason, packets in replayed.left_out.items():
        log.warning("%d packets left out: %s", packets, reason)
    if replayed.error:
        raise replayed.error


@cli.command(params=[*LOGGING])
@click.argument("path", type=click.Path(path_type=Path))
def unpin(path: Path, log_level: str, log_format: str) -> None:
    """Remove the programs and counters left by `serve --pin PATH`; counting stops."""
    from pktexp.commands.unpin import unpin as run_unpin  # noqa: PLC0415

    logs.configure(log_level, log_format)
    terminal.echo(f"{run_unpin(path)}\n")


def main() -> None:
    """Run the command; a foreseen error is one line and a non-zero exit status."""
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
        logs.debug_lines(log, "the verifier", error.log)
        _fail(str(error), "--log-level debug shows the verifier's log")
    except (OSError, click.Abort, asyncio.CancelledError) as error:
        _fail(str(error) or "interrupted", "--log-level debug shows the traceback")


def _fail(message: str, hint: str, status: int = 1) -> None:
    """Print one line, log the traceback at debug level, and end the process."""
    log.debug("traceback", exc_info=sys.exc_info())
    line = f"pktexp: error: {' '.join(message.split())} ({hint})"
    click.echo(escaped(line), err=True)
    sys.exit(status)

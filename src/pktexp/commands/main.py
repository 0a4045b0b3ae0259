"""The command line: flags and environment become Settings (settings.py), here and nowhere else."""

from __future__ import annotations

import asyncio
import logging
import mmap
import sys
from pathlib import Path
from typing import Any

import click
import uvloop

from pktexp import __version__, logs
from pktexp.bpf.hookchoice import IngressMode
from pktexp.bpf.libbpf import VerifierError
from pktexp.bpf.options import CACHED_FLOW_BYTES, INTERFACE_BYTES
from pktexp.commands import declare, options
from pktexp.commands.declare import option
from pktexp.commands.healthcheck import healthcheck
from pktexp.commands.options import PowerOfTwo, settings_of
from pktexp.commands.serve.run import serve as run_service
from pktexp.commands.top.command import top_command
from pktexp.errors import PktexpError
from pktexp.packet.enums import Tunnel
from pktexp.settings import EventMode, FlowMode, Format

log = logging.getLogger(__name__)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="pktexp", message="%(prog)s %(version)s")
def cli() -> None:
    """Count every packet on every network interface, for Prometheus."""


cli.add_command(healthcheck)


@cli.command()
@declare.port
@declare.listen
@option(
    "--interfaces",
    multiple=True,
    metavar="GLOB",
    help="Interfaces to count, all if not given; may be given again.",
)
@option(
    "--exclude-interfaces",
    multiple=True,
    metavar="GLOB",
    help="Interfaces not to count; may be given again.",
)
@option(
    "--max-interfaces",
    type=PowerOfTwo(16, 1 << 16),
    default=512,
    help="Interfaces that can be counted at one time; "
    f"{INTERFACE_BYTES:,} bytes each for every CPU.",
)
@option(
    "--ingress",
    type=click.Choice([mode.value for mode in IngressMode], case_sensitive=False),
    default=IngressMode.AUTO.value,
    help="Hook for what comes in; auto: native XDP where hardware is behind, else TCX; "
    "xdp: native, else generic. Where one can't be had, the next is taken, and the log says why.",
)
@option("--egress/--no-egress", default=True, help="Count what goes out, at TCX.")
@options.decap
@options.flows
@options.max_flows
@option(
    "--events",
    type=click.Choice([mode.value for mode in EventMode], case_sensitive=False),
    default=EventMode.FLOW.value,
    help="What a record from the kernel stands for: all packets of a flow since the last one, or "
    "each packet, which costs ten times as much.",
)
@option(
    "--flow-cache",
    type=PowerOfTwo(16, 1 << 20),
    default=16384,
    help="Flows that a CPU sums up before it sends a record; "
    f"{CACHED_FLOW_BYTES} bytes of kernel memory each.",
)
@option(
    "--workers",
    "PE_WORKERS",
    type=click.IntRange(1, 256),
    default=1,
    help="Ring buffers and threads that read them; CPUs are dealt out over them.",
)
@option(
    "--ring-size",
    type=PowerOfTwo(mmap.PAGESIZE, 1 << 30),
    default=8 << 20,
    help="Bytes of a ring buffer.",
)
@options.networks
@options.web_config
@options.telemetry_path
@options.max_connections
@options.pin
@options.kubernetes
@options.node_name
@options.log_level
@options.log_format
def serve(log_level: str, log_format: str, **values: Any) -> None:
    """Attach to the interfaces and serve /metrics until told to stop."""
    logs.configure(log_level, log_format)
    uvloop.run(run_service(settings_of(values)))


@cli.command(params=list(serve.params))
@click.option("--json", "as_json", is_flag=True, help="One object, for programs.")
def check(log_level: str, log_format: str, as_json: bool, **values: Any) -> None:
    """Say whether `serve` with the same options would work here, and where it would count.

    Ends with status 1 if it would not. Attaches to nothing, and touches no interface.
    """
    # Imported here, as `serve` needs none of it.
    from pktexp.commands.check import report  # noqa: PLC0415
    from pktexp.commands.check.run import check as run_check  # noqa: PLC0415

    logs.configure(log_level, log_format)
    checked = run_check(settings_of(values))
    text = report.document(checked) if as_json else report.table(checked)
    # Interfaces have names in any script, and standard output may know fewer.
    click.echo(text.encode(sys.stdout.encoding, "backslashreplace"), nl=False)
    raise click.exceptions.Exit(0 if checked.works else 1)


cli.add_command(top_command(serve.params))


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.decap
@options.flows
@options.max_flows
@click.option(
    "--format",
    "form",
    type=click.Choice([form.value for form in Format], case_sensitive=False),
    default=Format.PROMETHEUS.value,
    show_default=True,
    help="The whole page, or the flows alone.",
)
@options.log_level
@options.log_format
def replay(
    file: Path,
    log_level: str,
    log_format: str,
    decap: frozenset[Tunnel],
    flows: str,
    max_flows: int,
    form: str,
) -> None:
    """Count the packets of a capture, as if an interface had received them, and show the metrics.

    Reads pcap and pcapng, also gzip'd. Attaches to nothing, and touches no interface.
    """
    # Imported here, as `serve` needs none of it.
    from pktexp.commands.replay.report import report  # noqa: PLC0415
    from pktexp.commands.replay.run import replay as run_replay  # noqa: PLC0415

    if flows == FlowMode.OFF and form != Format.PROMETHEUS:
        raise click.UsageError(f"--format {form} shows flows, and --flows off leaves none")
    logs.configure(log_level, log_format)
    replayed = run_replay(file, FlowMode(flows), decap)
    click.echo(report(replayed, Format(form), max_flows), nl=False)
    for reason, packets in replayed.left_out.items():
        log.warning("%d packets left out: %s", packets, reason)
    if replayed.error:
        raise replayed.error


@cli.command()
@click.argument("path", type=click.Path(path_type=Path))
@options.log_level
@options.log_format
def unpin(path: Path, log_level: str, log_format: str) -> None:
    """Remove all that `serve --pin PATH` has left: nothing is counted any more."""
    from pktexp.commands.unpin import unpin as run_unpin  # noqa: PLC0415  # as `serve` needs none of it

    logs.configure(log_level, log_format)
    click.echo(run_unpin(path))


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

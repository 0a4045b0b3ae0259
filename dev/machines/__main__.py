"""`just test-machines [MACHINE...]`: pktexp in each machine, and docs/machines.md of all."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from kernels.machine import MachineError
from kernels.releases import CACHE
from machines import qemu, runs
from machines.page import PAGE, Found, written
from machines.runs import MACHINES


@click.command()
@click.argument("names", type=click.Choice(list(MACHINES)), nargs=-1)
def main(names: tuple[str, ...]) -> None:
    """Emulate them, one after the other: all and the page, or some and what the page would say."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        found = [_run(name, Path(folder)) for name in names or MACHINES]
        version = qemu.version(qemu.command())
        date = datetime.now(UTC).date().isoformat()
        page = written(found, date, "just test-machines", version, runs.release())
    if names:
        click.echo(page)
    else:
        PAGE.write_text(page, "utf-8")
    if failed := [each.name for each in found if not each.complete]:
        raise click.ClickException(f"not to the end: {', '.join(failed)}")


def _run(name: str, folder: Path) -> Found:
    """Return what a machine found; on the terminal what it said."""
    click.echo(f"== {name}", err=True)
    (share := folder / name).mkdir()
    try:
        status = runs.run(MACHINES[name], share)
    except MachineError as error:
        status = 1
        click.echo(error, err=True)
    said = share / "output"
    click.echo(said.read_text(errors="replace") if said.exists() else "", err=True)
    return Found.read(name, share, complete=status == 0)


if __name__ == "__main__":
    main()

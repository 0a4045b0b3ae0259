"""`just test-machines [MACHINE...]`: pktexp in each machine, and docs/machines.md."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CalledProcessError

import click

from kernels.machine import MachineError
from kernels.releases import CACHE
from machines import results, runs
from machines.page import PAGE, written
from machines.results import Found
from machines.runs import MACHINES


@click.command()
@click.argument("names", type=click.Choice(list(MACHINES)), nargs=-1)
def main(names: tuple[str, ...]) -> None:
    """Emulate them, one after the other, and write what they found; without names, all."""
    CACHE.mkdir(parents=True, exist_ok=True)
    failed = []
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        for name in names or MACHINES:
            found = _run(name, Path(folder))
            results.keep(name, found)
            PAGE.write_text(written(results.kept()), "utf-8")
            failed += [] if found.complete else [name]
    if failed:
        raise click.ClickException(f"not to the end: {', '.join(failed)}")


def _run(name: str, folder: Path) -> Found:
    """Return what a machine found; on the terminal what it said."""
    click.echo(f"== {name}", err=True)
    (share := folder / name).mkdir()
    status = 1
    try:
        status = runs.run(MACHINES[name], share)
    except (MachineError, CalledProcessError) as error:
        click.echo(error, err=True)
    said = share / "output"
    click.echo(said.read_text(errors="replace") if said.exists() else "", err=True)
    return Found.read(share, datetime.now(UTC).date(), runs.versions(), complete=status == 0)


if __name__ == "__main__":
    main()

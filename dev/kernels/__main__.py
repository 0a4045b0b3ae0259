"""`just test-kernels [VERSION...]`: the kernel tests in each kernel, and docs/kernels.md."""

from __future__ import annotations

import os
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from kernels import arm64, job, machine, packages
from kernels.page import PAGE, Run, report, written
from kernels.platforms import AMD64
from kernels.releases import BY_NAME, CACHE, TOO_OLD
from kernels.report import Report

SECONDS = 3000  # for one kernel
HERE = "here"


@click.command()
@click.argument("versions", type=click.Choice([*BY_NAME, HERE]), nargs=-1)
def main(versions: tuple[str, ...]) -> None:
    """Run them, one after the other, and write their columns of the page; without names, all."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        runs = [_run(name, Path(folder)) for name in versions or (*BY_NAME, HERE)]
        found = Report.parse(PAGE.read_text("utf-8")) if versions else Report()
        found.update(report(runs, datetime.now(UTC).date().isoformat()))
        PAGE.write_text(written(found, "just test-kernels"), "utf-8")
        failed = [run.name for run in runs if _failed(run)]
    if failed:
        raise click.ClickException(f"tests failed in: {', '.join(failed)}")


def _run(name: str, folder: Path) -> Run:
    """A kernel's run, and on the terminal what its tests said."""
    (share := folder / name).mkdir()
    click.echo(f"== {name}", err=True)
    if name == HERE:
        environment = os.environ | {"SHARE": str(share)}
        with (share / "output").open("wb") as output:
            subprocess.run(
                ["sh", "-c", job.tests(AMD64)],
                stdout=output,
                stderr=output,
                env=environment,
                check=False,
            )
        run = Run(".".join(os.uname().release.split(".")[:2]), "this machine", share)
    else:
        release = BY_NAME[name]
        try:
            platform = arm64.platform() if release.architecture == "arm64" else AMD64
            kernel, hardware = packages.fetch(release), machine.Hardware(platform)
            machine.run(kernel, share, job.tests(platform), SECONDS, hardware)
        except machine.MachineError as error:
            click.echo(error, err=True)
        run = Run(name, release.origin, share)
    click.echo((share / "output").read_text(errors="replace"), err=True)
    return run


def _failed(run: Run) -> bool:
    """Whether a test failed, or none ran where some should."""
    outcomes = {outcome for _, outcome, _ in run.tests()}
    return "failed" in outcomes or (not outcomes and run.name not in TOO_OLD)


if __name__ == "__main__":
    main()

"""What is run in each kernel: smoke.py, and the kernel tests that are chosen."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from kernels.platforms import AMD64, Platform

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 600  # seconds, for what an emulated machine may take

PYTEST = "python3 -m pytest -v -p no:cacheprovider --junitxml=$SHARE/junit.xml"


def script(command: str, python: Path = AMD64.python) -> str:
    """Return a script that runs a command with python3 of a folder, in the repository."""
    environment = {
        "PATH": f"{python}:{os.defpath}:/usr/sbin:/sbin",
        "PYTHONPATH": ":".join(str(REPOSITORY / folder) for folder in ("src", "tests", "dev")),
        "PYTEST_TIMEOUT": "0",  # the machine as a whole has a limit
        "TEST_PATIENCE": str(PATIENCE),
        "TMPDIR": "/run",
    }
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    enter = f"cd {shlex.quote(str(REPOSITORY))}"
    return "\n".join([*exports, enter, command])


def tests(platform: Platform) -> str:
    """Return a script for $SHARE/smoke.json and, where anything can be counted, junit.xml."""
    smoke = script("python3 -m kernels.smoke >$SHARE/smoke.json", platform.python)
    chosen = " ".join(platform.chosen.read_text().split())
    return f"{smoke} &&\n{PYTEST} -k '{platform.selection}' {chosen}"

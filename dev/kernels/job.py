"""What is run in each kernel: smoke.py, and those of the kernel tests that `chosen` names."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
CHOSEN = Path(__file__).parent / "chosen"
PATIENCE = 600  # seconds, for what an emulated machine may take

# Of the two libbpf that tests run with here, the wheel's is taken: it is that of `serve`.
PYTEST = "pytest -v -p no:cacheprovider --junitxml=$SHARE/junit.xml -k 'not libbpf.so.1'"


def script(command: str) -> str:
    """Return a script that runs a command with this environment, in the repository."""
    python = Path(sys.executable).parent
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


def tests() -> str:
    """Return a script for $SHARE/smoke.json and, where anything can be counted, junit.xml."""
    smoke = script("python -m kernels.smoke >$SHARE/smoke.json")
    return f"{smoke} &&\n{PYTEST} {' '.join(CHOSEN.read_text().split())}"

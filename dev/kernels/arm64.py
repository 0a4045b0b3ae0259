"""The platform arm64: Debian's userland and wheels for it, above this machine's files.

Nothing of it runs while it is made: packages are unpacked without their scripts.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from kernels.packages import kept
from kernels.platforms import HERE, Platform
from kernels.qemu import unpacked
from kernels.releases import DEBIAN, DEBIAN_KEYRING

SUITE, PYTHON = "bookworm", "3.11"
LOCK = HERE.parent / "requirements.lock"
PACKAGES = (
    *("busybox-static", "coreutils", "dash", "ethtool", "grep", "iproute2", "iputils-ping"),
    *("kmod", "libbpf1", "libstdc++6", "mount", "nftables", "procps", "python3", "sed"),
    "util-linux",
)
# What the smoke test and the chosen kernel tests import, and what that needs.
WHEELS = (
    *("aiohappyeyeballs", "aiohttp", "aiosignal", "attrs", "bcrypt", "cffi", "click"),
    *("cryptography", "frozenlist", "hypothesis", "idna", "iniconfig", "multidict", "numpy"),
    *("orjson", "packaging", "pluggy", "prometheus-client", "propcache", "pycparser", "pygments"),
    *("pytest", "pytest-asyncio", "pytest-timeout", "python-json-logger", "python-pcapng"),
    *("pyyaml", "scapy", "sortedcontainers", "typing-extensions", "uvloop", "yarl"),
)
TAGS = ("manylinux2014_aarch64", "manylinux_2_28_aarch64")


def platform() -> Platform:
    """Return the platform, made if it is not there yet. Raises CalledProcessError."""
    userland = kept("arm64", _make)
    return Platform(
        qemu=unpacked("qemu-system-arm", "qemu-system-aarch64"),
        board=("-machine", "virt", "-cpu", "max"),
        console="ttyAMA0",
        busybox=userland / "usr/bin/busybox",
        python=Path("/usr/bin"),
        # The programs under another JIT, its atomics and layouts; what kernels differ in shows on
        # amd64. Tests that compile or capture have no clang and no tshark there.
        chosen=HERE / "chosen-arm64",
        selection="",
        userland=userland,
    )


def _make(folder: Path) -> None:
    source = f"deb [signed-by={DEBIAN_KEYRING}] {DEBIAN} {SUITE} main"
    unpack = ["mmdebstrap", "--quiet", "--variant=extract", "--architectures=arm64"]
    merged = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"
    included = f"--include={','.join(PACKAGES)}"
    subprocess.run([*unpack, merged, included, SUITE, folder, source], check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(pinned(LOCK.read_text()))
        file.flush()
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        target = ["--target", str(folder / f"usr/local/lib/python{PYTHON}/dist-packages")]
        tags = [f"--platform={tag}" for tag in TAGS]
        only = ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
        subprocess.run([*pip, *target, *tags, *only, "-r", file.name], check=True)


def pinned(lock: str) -> str:
    """Return the parts of a lock file that concern the wheels, with their hashes."""
    parts = re.split(r"^(?=[\w-]+==)", lock, flags=re.MULTILINE)
    return "".join(part for part in parts if part.split("==")[0] in WHEELS)

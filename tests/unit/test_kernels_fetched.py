"""Kernels and userlands of dev/kernels, as they lie once their packages are unpacked."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernels import arm64
from kernels.machine import Hardware
from kernels.packages import PARTS, Kernel
from kernels.platforms import AMD64

# Of `apt-cache depends --recurse`, for Debian 13's backports.
DEPENDS = """\
linux-image-amd64
  Depends: linux-base-amd64
  Depends: linux-image-7.3.4+deb13-amd64
linux-image-7.3.4+deb13-amd64
  PreDepends: linux-base
  Depends: linux-base-7.3.4+deb13-amd64
  Depends: linux-binary-7.3.4+deb13-amd64
  Depends: linux-modules-7.3.4+deb13-amd64
linux-base
"""


@pytest.mark.parametrize(
    ("modules", "image"),
    [
        ("lib/modules/6.1.0", "boot/vmlinuz-6.1.0"),
        ("lib/modules/7.3.4", "lib/modules/7.3.4/vmlinuz"),
    ],
)
def test_image_is_found_in_boot_and_among_modules(tmp_path: Path, modules: str, image: str) -> None:
    for path in (tmp_path / modules, (tmp_path / image).parent):
        path.mkdir(parents=True, exist_ok=True)
    (tmp_path / image).touch()
    kernel = Kernel(tmp_path)
    assert kernel.image == tmp_path / image
    assert kernel.modules == tmp_path / modules


def test_split_kernel_takes_all_of_its_packages() -> None:
    parts = ("image", "base", "binary", "modules")
    assert set(PARTS.findall(DEPENDS)) == {f"linux-{part}-7.3.4+deb13-amd64" for part in parts}


def test_each_wheel_for_arm64_is_pinned_with_its_hashes() -> None:
    text = arm64.pinned(arm64.LOCK.read_text())
    names = [line.split("==")[0] for line in text.splitlines() if "==" in line.split(";")[0]]
    assert set(names) == set(arm64.WHEELS)
    assert text.count("--hash=sha256:") >= len(names)


def test_prefix_runs_qemu_and_size_follows() -> None:
    hardware = Hardware(AMD64, cpus=64, memory="8G", prefix=("ip", "netns", "exec", "a"))
    command = hardware.command()
    assert command[:6] == ("ip", "netns", "exec", "a", "nice", "qemu-system-x86_64")
    assert command[-4:] == ("-smp", "64", "-m", "8G")

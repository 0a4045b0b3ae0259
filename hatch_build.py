"""Builds the BPF objects before hatchling packs them, so that an installed wheel needs no clang."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BpfBuildHook(BuildHookInterface):  # type: ignore[type-arg]  # its parameter is hatchling's own
    """Runs `make -C bpf`, which needs clang and the headers of libbpf and the kernel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects the files."""
        del version, build_data
        subprocess.run(["make", "-C", str(Path(self.root) / "bpf")], check=True)

"""qemu's monitor, as the machine inside reaches it: a virtio port joined to a QMP socket."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.patience import wait_for


def devices(socket: Path) -> tuple[str, ...]:
    """Return the arguments of qemu that give the machine a port to the monitor of itself."""
    return (
        *("-qmp", f"unix:{socket},server=on,wait=off"),
        *("-chardev", f"socket,id=monitor,path={socket}"),
        *("-device", "virtio-serial-pci", "-device", "virtserialport,chardev=monitor"),
    )


class Monitor:
    """Commands of QMP; ready while the context is open."""

    def __enter__(self) -> Self:
        subprocess.run(["modprobe", "virtio_console"], check=True)
        [port] = wait_for(lambda: list(Path("/dev").glob("vport*p1")))
        self._port = port.open("r+b", buffering=0)
        self.ask("qmp_capabilities")
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._port.close()

    def ask(self, command: str, **arguments: Any) -> None:
        """Run a command to its end. Raises RuntimeError with qemu's words if it fails."""
        self._port.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while "return" not in (answer := json.loads(self._port.readline())):  # else: an event
            if "error" in answer:
                raise RuntimeError(answer["error"]["desc"])

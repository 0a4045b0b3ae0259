"""A pktexp process in a namespace, and its page as a dictionary."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from support.netns.namespace import Namespace
from support.patience import PATIENCE, wait_for

Page = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Service:
    """`pktexp serve` in a namespace; `lines` are its log lines so far."""

    def __init__(
        self,
        namespace: Namespace,
        *arguments: str,
        python: str = sys.executable,
        prefix: Sequence[str] = (),
    ) -> None:
        command = (*prefix, python, "-m", "pktexp", "serve", "--port", "0", "--log-format", "json")
        self.run(namespace, namespace.command(*command, *arguments))

    def run(self, namespace: Namespace, command: Sequence[str], **options: Any) -> None:
        """Start a command, and return when it is ready; `options` of Popen."""
        self.namespace = namespace
        self.lines: list[dict[str, Any]] = []
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.url = self.wait_for_line("ready: ").split()[1]
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            with contextlib.suppress(json.JSONDecodeError):
                self.lines.append(json.loads(line))

    @property
    def pid(self) -> int:
        return self.process.pid

    def messages(self, *levels: str) -> list[str]:
        return [x["message"] for x in list(self.lines) if not levels or x["level"] in levels]

    def wait_for_line(self, start: str) -> str:
        def find() -> str:
            assert self.process.poll() is None, f"pktexp ended: {self.lines}"
            return next((m for m in self.messages() if m.startswith(start)), "")

        return wait_for(find)

    def get(self, path: str, **headers: str) -> Any:
        request = urllib.request.Request(self.url + path, headers=headers)
        with self.namespace.entered():
            return urllib.request.urlopen(request, timeout=PATIENCE)

    def text(self) -> str:
        text: str = self.get("metrics").read().decode()
        return text

    def page(self) -> Page:
        return parse(self.text())

    def page_when(self, condition: Callable[[Page], object]) -> Page:
        """Return the first page for which the condition is true."""
        found: list[Page] = []

        def look() -> bool:
            found[:] = [self.page()]
            return bool(condition(found[0]))

        wait_for(look)
        return found[0]

    def wait_until_attached(self, interface: str) -> str:
        """Return the ingress hook of an interface, as soon as it is attached."""

        def hook() -> str:
            name = "pktexp_interface_attached"
            found = select(self.page(), name, interface=interface, direction="ingress")
            return next((dict(key)["hook"] for key, value in found.items() if value), "")

        return wait_for(hook)

    def wait_for_samples(self, count: int) -> None:
        """Return when so many more samples have been taken, of which there is one each second."""
        end = total(self.page(), "pktexp_samples_total") + count
        self.page_when(lambda page: total(page, "pktexp_samples_total") >= end)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; return the exit status."""
        if self.process.poll() is None:
            os.kill(self.pid, number)
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._reader.join(PATIENCE)
        if self.process.stderr:
            self.process.stderr.close()
        return status

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def held(self, kind: str) -> set[str]:
        """Return the ids of BPF objects that the service holds: "prog", "map" or "link"."""
        found = set()
        for file in Path(f"/proc/{self.pid}/fdinfo").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found |= set(re.findall(rf"^{kind}_id:\s+(\d+)$", file.read_text(), re.MULTILINE))
        return found

    def resident(self) -> int:
        """Return the memory of the process, in bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))


@contextlib.contextmanager
def serving(
    namespace: Namespace, *arguments: str, status: int = 0, **options: Any
) -> Iterator[Service]:
    """Run a service while the context is open; it must end with this status."""
    service = Service(namespace, *arguments, **options)
    try:
        yield service
    finally:
        ended = service.stop()
    assert ended == status


def parse(text: str) -> Page:
    samples = (s for family in text_string_to_metric_families(text) for s in family.samples)
    return {(s.name, frozenset(s.labels.items())): s.value for s in samples}


def select(page: Page, name: str, **labels: str) -> dict[frozenset[tuple[str, str]], float]:
    """Return the samples of a name that have these labels, by all their labels."""
    return {k: v for (n, k), v in page.items() if n == name and labels.items() <= dict(k).items()}


def total(page: Page, name: str, **labels: str) -> int:
    return int(sum(select(page, name, **labels).values()))


def traffic(
    page: Page, interface: str, direction: str = "ingress"
) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (packets, bytes) by (protocol, IP version) of an interface and direction."""
    counts, site = {}, {"interface": interface, "direction": direction}
    for key, packets in select(page, "pktexp_packets_total", **site).items():
        if packets:
            labels = dict(key)
            bytes_ = page["pktexp_bytes_total", key]
            counts[labels["protocol"], labels["ip_version"]] = (int(packets), int(bytes_))
    return counts

"""A real Prometheus in a namespace: it scrapes a service, evaluates rules, and answers queries."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.netns.namespace import Namespace
from support.patience import PATIENCE, ended, finished

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: {rules}
scrape_configs:
  - job_name: pktexp
    static_configs: [{{targets: ["localhost:{port}"]}}]
{scrape}"""


class Prometheus:
    """A server in a namespace, with its HTTP API."""

    def __init__(
        self, namespace: Namespace, folder: Path, port: int, rules: list[Path], scrape: str
    ) -> None:
        self.namespace = namespace
        config = folder / "prometheus.yml"
        files = json.dumps([str(rule) for rule in rules])
        config.write_text(CONFIG.format(port=port, rules=files, scrape=scrape))
        self.process = subprocess.Popen(
            namespace.command(
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=localhost:9090",
            ),
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def query(self, expression: str, **parameters: str) -> list[dict[str, Any]]:
        query = urllib.parse.urlencode({"query": expression, **parameters})
        with contextlib.suppress(OSError):
            found: list[dict[str, Any]] = self.ask(f"query?{query}")["result"]
            return found
        return []

    def ask(self, path: str) -> Any:
        with self.namespace.entered():
            url = f"http://localhost:9090/api/v1/{path}"
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return json.load(answer)["data"]

    def stop(self) -> None:
        self.process.terminate()
        ended(self.process)


def promtool(*arguments: str) -> None:
    done = finished(["promtool", *arguments], capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def prometheus(
    namespace: Namespace, folder: Path, port: int, *rules: Path, scrape: str = ""
) -> Iterator[Prometheus]:
    """Run a server while the context is open. `scrape`: more lines of its scrape configuration."""
    server = Prometheus(namespace, folder, port, list(rules), scrape)
    try:
        yield server
    finally:
        server.stop()


def lint(text: str) -> str:
    """Return the complaints of promtool about a page; "" if there are none."""
    done = finished(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr

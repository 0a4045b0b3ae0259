"""The image, built from the Containerfile here: what is in it, and that it counts and answers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import pktexp
from pktexp.privileges import NEEDED
from support.environments.container import (
    AS_BY_DOCKER,
    COMMAND,
    CONFINED,
    IMAGE,
    OURS,
    SHOW_STATUS,
    capabilities,
    counting,
)
from support.environments.podman import Podman
from support.kernel.attached import attached
from support.kernel.bpffs import mounted
from support.netns.namespace import Namespace
from support.packets.cases import ETHER, V4, ip_options_and_extensions
from support.patience import PATIENCE, finished, wait_for
from support.service.process import total, traffic

ROOT = Path(__file__).parents[2]
BASE = "docker.io/library/debian:trixie-slim"
MOST = 180  # MB
USER = 65532
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
TOOLS = r"(.*-)?(cc|gcc|g\+\+|clang|ld|as|make|pip3?|apt|dpkg|sh|bash|dash|perl|setcap)(-?[0-9.]+)?"
Pair = tuple[Namespace, Namespace]


@pytest.fixture(scope="module")
def podman() -> Iterator[Podman]:
    """With a base of the name that the Containerfile has; no registry is asked."""
    folder = Path(tempfile.mkdtemp(prefix="pktexp-"))  # podman takes at most 50 characters
    podman = Podman(folder)
    with contextlib.closing(podman):
        base = folder / "base.tar"
        # Unsafe as those of Docker are: nobody waits for a disk that is thrown away.
        options = ["--quiet", "--variant=apt", "--dpkgopt=force-unsafe-io"]
        finished(["mmdebstrap", *options, "trixie", base], check=True, capture_output=True)
        podman("import", str(base), BASE)
        base.unlink()
        yield podman


@pytest.fixture(scope="module")
def said(podman: Podman) -> str:
    """The image is there, and this is what building it printed."""
    options = ["--pull=never", "--network=host"]
    if CERTIFICATES.exists():  # this machine's, for whatever is between it and PyPI
        options += ["--volume", f"{CERTIFICATES}:/usr/local/share/ca-certificates/machine.crt:ro"]
    done = podman.run(str(ROOT / "dev" / "image"), *options, IMAGE=IMAGE)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


pytestmark = pytest.mark.usefixtures("said")


def test_build_prints_a_size_within_bounds(podman: Podman, said: str) -> None:
    size = podman.inspect(IMAGE)["Size"] / 1e6
    assert said.splitlines()[-1] == f"{IMAGE}: {size:.0f} MB"
    assert size <= MOST


def test_image_labels_match_the_project(podman: Podman) -> None:
    labels = podman.inspect(IMAGE)["Labels"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    revision = finished(git, capture_output=True).stdout.strip()
    expected = {
        "title": project["name"],
        "description": project["description"],
        "licenses": project["license"],
        "version": pktexp.__version__,
        "revision": revision or "unknown",
        "source": "",
    }
    assert {name: labels[f"org.opencontainers.image.{name}"] for name in expected} == expected


def test_image_has_no_tools_to_build_install_or_gain_privileges(podman: Podman) -> None:
    top = Path(podman("image", "mount", IMAGE))
    try:
        files = [path for path in top.rglob("*") if path.is_file() and not path.is_symlink()]
        assert not [f for f in files if os.access(f, os.X_OK) and re.fullmatch(TOOLS, f.name)]
        assert not [f for f in files if re.search(r"LLVM|llvmlite|pylibbpf|/pip/", str(f))]
        assert not [f for f in files if f.lstat().st_mode & 0o6000]
        assert [f.name for f in files if os.listxattr(f)] == ["python3-for-bpf"]
    finally:
        podman("image", "unmount", IMAGE)


def test_container_counts_packets_and_leaves_nothing_attached(podman: Podman, pair: Pair) -> None:
    a, b = pair
    frames = [case.frame for case in ip_options_and_extensions()]  # which take CAP_PERFMON
    with counting(podman, b) as container:
        a.send("va", frames)
        page = container.page_when(
            lambda page: total(page, "total_packets", interface="vb") >= len(frames)
        )
        assert attached(b, "vb")
        assert container.messages("WARNING", "ERROR") == []
    counts = traffic(page, "vb").values()
    sums = sum(packets for packets, _ in counts), sum(bytes_ for _, bytes_ in counts)
    assert sums == b.statistics("vb") == (len(frames), sum(map(len, frames)))
    assert not attached(b, "vb")


def test_programs_stay_pinned_while_the_container_is_replaced(
    podman: Podman, pair: Pair, tmp_path: Path
) -> None:
    a, b = pair
    with mounted(tmp_path / "bpf") as bpffs:
        pins = bpffs / "pktexp"
        pins.mkdir(mode=0o700)
        os.chown(pins, USER, USER)
        options = ("--volume", f"{pins}:/pins", "--env", "PKTEXP_PIN=/pins")
        with counting(podman, b, *options):
            pass
        before, _ = b.statistics("vb")
        a.send("va", [bytes(60)] * 9)
        after, _ = b.statistics("vb")
        with counting(podman, b, *options) as container:
            counted = total(container.page(), "total_packets", interface="vb")
            assert 9 <= after - before <= counted
            assert attached(b, "vb") == {"tcx-ingress": 1, "tcx-egress": 1}


def test_container_runs_as_nobody_with_file_capabilities(podman: Podman, pair: Pair) -> None:
    with counting(podman, pair[1], "--entrypoint", AS_BY_DOCKER) as container:
        status = Path(f"/proc/{container.pid}/status").read_text()
        libbpf = container.wait_for_line(f"pktexp {pktexp.__version__} with libbpf ")
    assert re.search(rf"^Uid:(\s+{USER}){{4}}$", status, re.MULTILINE)
    held = capabilities(status)
    assert held["CapBnd"] == OURS
    assert held["CapEff"] & ~OURS == 0
    assert libbpf.endswith("(libbpf.so.1)")


@pytest.mark.parametrize(("python", "held"), [("python3.13", 0), ("python3-for-bpf", OURS)])
def test_only_the_interpreter_of_pktexp_has_capabilities(
    podman: Podman, python: str, held: int
) -> None:
    options = ("--network=none", "--entrypoint", AS_BY_DOCKER.replace(COMMAND, python))
    status = podman("run", "--rm", *CONFINED, *options, IMAGE, "-c", SHOW_STATUS)
    assert capabilities(status)["CapEff"] == held


def test_health_check_asks_the_configured_address(podman: Podman, pair: Pair) -> None:
    with counting(podman, pair[1], "--env", "PE_PORT=9876") as container:
        assert ":9876/" in container.url
        podman("healthcheck", "run", container.name)
        said = podman("exec", container.name, "pktexp", "healthcheck")
        assert said == "alive at 127.0.0.1:9876"
        other = podman.run("podman", "exec", container.name, "pktexp", "healthcheck", "--port=1")
        assert other.returncode == 1


def test_missing_capabilities_are_named(podman: Podman) -> None:
    done = podman.run("podman", "run", "--rm", "--cap-drop=ALL", "--network=none", IMAGE)
    assert done.returncode == 1
    missing = "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON missing"
    assert f"pktexp: error: not allowed to load BPF programs: {missing} (" in done.stderr


def test_container_works_as_root_without_new_privileges(podman: Podman) -> None:
    strict = (*CONFINED, "--security-opt", "no-new-privileges", "--network=none", "--user=0")
    assert "serve would work" in podman("run", "--rm", *strict, IMAGE, "check")


def test_compose_accepts_the_variables_of_packet_exporter(
    podman: Podman, pair: Pair, tmp_path: Path
) -> None:
    a, b = pair
    changes = tmp_path / "changes.yaml"  # the host's network has more than the test's interfaces
    service = {"image": IMAGE, "network_mode": f"ns:/run/netns/{b.name}"}
    changes.write_text(json.dumps({"services": {"pktexp": service}}))
    files = ("--file", str(ROOT / "docker-compose.yaml"), "--file", str(changes))
    compose = ("podman-compose", "--project-name", b.name, *files)
    up = podman.run(*compose, "up", "--detach", "--no-build", PE_PORT="9877", PE_WORKERS="2")
    assert up.returncode == 0, up.stderr
    try:
        (name,) = podman("ps", "--format", "{{.Names}}").split()
        wait_for(lambda: podman.run("podman", "healthcheck", "run", name).returncode == 0)
        a.send("va", [bytes(ETHER / V4)] * 5)
        wait_for(lambda: 'total_packets{interface="vb"} 5' in page(b, 9877))
        logs = podman.run("podman", "logs", name)
        assert "rings 16384 KiB" in logs.stdout + logs.stderr  # two of them
        made = podman.inspect(name)
        assert set(made["EffectiveCaps"]) == set(NEEDED)
        assert made["HostConfig"]["ReadonlyRootfs"]
        assert made["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
        assert made["Config"]["Healthcheck"]["Test"][-1] == "pktexp.commands.healthcheck"
    finally:
        down = podman.run(*compose, "down")
    assert down.returncode == 0, down.stderr
    assert not attached(b, "vb")


def page(namespace: Namespace, port: int) -> str:
    with (
        namespace.entered(),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer,
    ):
        text: str = answer.read().decode()
    return text

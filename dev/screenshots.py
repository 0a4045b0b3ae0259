"""Pictures for the README, from real traffic: `just screenshots`, as root.

A host and some machines in namespaces talk for a while; then the live page and `pktexp top` are
photographed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from pktexp.commands.top.remote import Credentials, Remote
from pktexp.commands.top.screen import Top
from support.kernel.cgroups import MOUNTED, Cgroup, making
from support.netns.namespace import Namespace, connect
from support.screens.browser import chromium, opened
from support.service.process import serving

TABLE = "#services"
IMAGES = Path(__file__).parent.parent / "docs" / "images"
SECONDS = 150
PAUSE = 2.0  # seconds, until a screen is drawn again
LOOK = 22  # seconds, until the lines are as long as they get
TERMINAL = 100, 30
HOST, HOST6 = "192.0.2.1", "2001:db8::1"
# Of each machine: its address, and what it does, in a loop.
MACHINES = {
    "192.0.2.20": "iperf3 -c {host} -p {port} -t 12 -b 24M; sleep 9",
    "192.0.2.21": "iperf3 -c {host} -p {port} -t 20 -b 7M -R; sleep 4",
    "192.0.2.22": "iperf3 -u -c {host} -p {port} -t 6 -b 5M -l 900; sleep 12",
    "192.0.2.23": "ping -qn -c 200 -i 0.05 -s 700 {host}",
    "192.0.2.24": "for i in $(seq 40); do echo x >/dev/udp/{host}/4444; sleep 0.05; done",
    "192.0.2.25": "iperf3 -6 -c {host6} -p {port} -t 9 -b 4M; sleep 7",
}
# Whom they talk with on the host, in the same order: cgroups as systemd and containers make them.
POD = (
    "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice/cri-containerd-{}.scope"
)
SERVICES = (
    "system.slice/media.service",
    "system.slice/backup.service",
    f"system.slice/docker-{'5e1f0a9c' * 8}.scope",
    "system.slice/monitoring.service",
    POD.format("0c9a41d2_77aa_4b0e_9d55_2f1b6f0e8a31", "b7d24e60" * 8),
    "user.slice/user-1000.slice/session-3.scope",
)
PICTURES = {
    "page-light.png": (1280, 1082, "light"),
    "page-dark.png": (1280, 1082, "dark"),
    "page-phone.png": (390, 900, "light"),
}


@contextlib.contextmanager
def talking(host: Namespace) -> Iterator[None]:
    """Every machine does what it does, over an interface of its own, with a service of the host."""
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(making())
        for number, (address, what) in enumerate(MACHINES.items()):
            service = own.make(SERVICES[number])
            clients = own.make(f"machine.slice/machine-m{number + 1}.scope")
            machine = Namespace()
            stack.callback(machine.remove)
            connect(machine, host, "eth0", f"port{number}")
            host.ip("link", "set", f"port{number}", "master", "br0")
            machine.ip("address", "add", f"{address}/24", "dev", "eth0")
            add_ipv6(machine, "eth0", f"2001:db8::{address.rpartition('.')[2]}")
            port = str(5201 + number)
            stack.enter_context(_running(host, service, f"iperf3 -s -p {port}"))
            loop = f"while true; do {what.format(host=HOST, host6=HOST6, port=port)}; done"
            stack.enter_context(_running(machine, clients, loop))
        yield


def add_ipv6(namespace: Namespace, interface: str, address: str) -> None:
    """Of use at once, as nobody is asked whether it is taken."""
    namespace.run("sysctl", "-qw", f"net.ipv6.conf.{interface}.disable_ipv6=0")
    namespace.ip("address", "add", f"{address}/64", "dev", interface, "nodad")


@contextlib.contextmanager
def _running(namespace: Namespace, cgroup: Cgroup, script: str) -> Iterator[None]:
    process = subprocess.Popen(
        cgroup.command(*namespace.command("bash", "-c", script)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def draw_top(url: str) -> dict[str, str]:
    """Return its screens after a while, as SVG by the picture's name."""
    app = Top(Remote(url, Credentials()), plain=False)
    async with app.run_test(size=TERMINAL) as pilot:
        await asyncio.sleep(LOOK)
        interfaces = app.export_screenshot(title="pktexp top")
        await pilot.press("v")
        await asyncio.sleep(PAUSE)
        services = app.export_screenshot(title="pktexp top")
        return {"top.png": interfaces, "top-services.png": services}


def photograph_top(browser: Browser, drawn: str, name: str) -> None:
    """Save as PNG: the SVG would ask another host for its font."""
    page = browser.new_page(viewport={"width": 1000, "height": 700})
    page.route("**/*", lambda route: route.abort())
    page.set_content(f'<body style="margin: 0">{drawn}</body>')
    page.locator("svg").screenshot(path=IMAGES / name)


def shrink() -> None:
    """A palette takes a third of the room; by coverage it keeps the colours of small things."""
    for path in IMAGES.glob("*.png"):
        with Image.open(path) as picture:
            small = picture.convert("RGB").quantize(method=Image.Quantize.MAXCOVERAGE)
        small.save(path, optimize=True)


def main() -> None:
    """Take all of them."""
    IMAGES.mkdir(exist_ok=True)
    host = Namespace()
    try:
        host.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        host.ip("link", "set", "br0", "up", "alias", "to the machines")
        host.ip("address", "add", f"{HOST}/24", "dev", "br0")
        add_ipv6(host, "br0", HOST6)
        options = "--exclude-interfaces", "lo"
        with talking(host), serving(host, *options, prefix=MOUNTED) as service:
            time.sleep(SECONDS)
            with host.entered():
                drawn = asyncio.run(draw_top(service.url))
            with chromium(service) as browser:
                for name, (width, height, scheme) in PICTURES.items():
                    size = {"width": width, "height": height}
                    with opened(browser, service, viewport=size, color_scheme=scheme) as view:
                        view.page.goto(f"{service.url}?of=if:br0&interface=br0&top=10")
                        view.page.wait_for_timeout(4000)
                        view.page.screenshot(path=IMAGES / name)
                        if name == "page-light.png":
                            section = view.page.locator("section", has=view.page.locator(TABLE))
                            section.screenshot(path=IMAGES / "services.png")
                for name, screen in drawn.items():
                    photograph_top(browser, screen, name)
            shrink()
    finally:
        host.remove()


if __name__ == "__main__":
    main()

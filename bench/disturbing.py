"""What soak.py does to a service: traffic, churn, clients and faults, each over and over."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from scrape import frames
from support.netns.namespace import Namespace
from support.patience import PATIENCE
from support.service.api import Reader
from support.service.process import Service

PAUSE = 0.01  # seconds between two lots of steady frames
LOT = 50
CROWD = 60  # connections
SOURCES = frames(40_000)  # more than the flow cache and the table hold
GARBAGE = (b"\x16\x03\x01", b"GET / HTTP/9\r\n\r\n", b"\0" * 4096, b"POST /metrics HTTP/1.1\r\n")
ACCEPT = ("text/plain", "application/openmetrics-text; version=1.0.0")

numbers = itertools.count()


class Done(Counter[str]):
    """How often each thing was done."""

    def __str__(self) -> str:
        return ", ".join(f"{count:,} {name}" for name, count in sorted(self.items()))


Disturbance = Callable[[Namespace, Service, Done, random.Random], None]


class Loop(threading.Thread):
    """Does one thing until `stop`; `error`: why it ended before."""

    def __init__(
        self,
        what: Disturbance,
        a: Namespace,
        service: Service,
        done: Done,
        chance: random.Random,
        stop: threading.Event,
    ) -> None:
        super().__init__(daemon=True)
        self.what = what
        self.error: BaseException | None = None
        self._arguments = a, service, done, chance
        self._chance, self._stop_it = chance, stop

    def run(self) -> None:
        """Sometimes soon again, sometimes after a while."""
        try:
            while not self._stop_it.wait(self._chance.uniform(0.1, 2)):
                self.what(*self._arguments)
        except BaseException as error:  # noqa: BLE001  # told by soak.py
            self.error = error


def steady(sender: socket.socket, sent: Sequence[bytes]) -> None:
    """Some thousand frames a second, until killed or left alone."""
    parent = os.getppid()
    for start in itertools.cycle(range(0, len(sent), LOT)):
        if os.getppid() != parent:
            return
        send(sender, sent[start : start + LOT])
        time.sleep(PAUSE)


def send(sender: socket.socket, sent: Sequence[bytes]) -> None:
    """What the queue has no room for is not sent: the kernel counts what was."""
    for frame in sent:
        try:
            sender.send(frame)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise


def burst(a: Namespace, _: Service, done: Done, chance: random.Random) -> None:
    """As fast as can be, from addresses that nobody saw before."""
    start = chance.randrange(len(SOURCES) - 10_000)
    with a.packet_socket("v0") as sender:
        send(sender, SOURCES[start : start + 10_000])
    done["bursts"] += 1


def stream(a: Namespace, service: Service, done: Done, chance: random.Random) -> None:
    """TCP in segments as large as the kernel makes them."""
    size = chance.randrange(1, 64) << 20
    with service.namespace.entered():
        listening = socket.create_server(("10.99.0.2", 0))
    with a.entered():
        client = socket.create_connection(listening.getsockname(), PATIENCE)
    with listening, client, listening.accept()[0] as server:
        reading = threading.Thread(target=_take, args=(server,))
        reading.start()
        block = bytes(1 << 20)
        for _ in range(size >> 20):
            client.sendall(block)
        client.shutdown(socket.SHUT_WR)
        reading.join()
    done["TCP connections"] += 1


def _take(server: socket.socket) -> None:
    while server.recv(1 << 20):
        pass


def closed(a: Namespace, _: Service, done: Done, chance: random.Random) -> None:
    """Datagrams that the kernel drops, and says why."""
    with a.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        for port in chance.sample(range(20_000, 60_000), 50):
            client.sendto(b"x", ("10.99.0.2", port))
    done["lots of datagrams to closed ports"] += 1


def churn(_: Namespace, service: Service, done: Done, chance: random.Random) -> None:
    """Interfaces that come, change and go."""
    count, first = chance.randrange(1, 20), next(numbers)
    names = [f"vc{first}-{i}" for i in range(count)]
    lines = [f"link add {name} type veth peer name {name}p\n" for name in names]
    lines += [f"link set {name} up\n" for name in names]
    lines += [f"link set {name} mtu {chance.randrange(1280, 9000)}\n" for name in names]
    lines += [f"link delete {name}\n" for name in names]
    command = service.namespace.command("ip", "-batch", "-")
    subprocess.run(command, input="".join(lines), text=True, check=True)
    done["interfaces made and removed"] += 2 * count


def scrape(_: Namespace, service: Service, done: Done, chance: random.Random) -> None:
    """Pages in every format and encoding."""
    encoding = chance.choice(("gzip", "identity"))
    headers = {"Accept": chance.choice(ACCEPT), "Accept-Encoding": encoding}
    with service.get("metrics", **headers) as answer:
        assert answer.read()
    done["scrapes"] += 1


def watch(_: Namespace, service: Service, done: Done, chance: random.Random) -> None:
    """The stream, read for a while or not at all."""
    with contextlib.closing(Reader(service, "?top=200", 4096)) as reader:
        if chance.random() < 0.5:
            time.sleep(8)
            done["readers that did not read"] += 1
            return
        events = reader.events()
        deque(itertools.islice(events, chance.randrange(1, 8)), maxlen=0)
    done["readers of the stream"] += 1


def strangers(_: Namespace, service: Service, done: Done, chance: random.Random) -> None:
    """Connections that say nothing, or nothing sensible."""
    place = urlsplit(service.url)
    with contextlib.ExitStack() as stack, service.namespace.entered():
        for kind in chance.choices(GARBAGE, k=CROWD):
            with contextlib.suppress(OSError):
                client = socket.create_connection(("127.0.0.1", place.port or 0), PATIENCE)
                stack.enter_context(client).send(kind)
        time.sleep(chance.uniform(0, 1))
    done["strange connections"] += CROWD


def stopped(_: Namespace, service: Service, done: Done, chance: random.Random) -> None:
    """Not scheduled for a while, as on a machine that has too much to do."""
    time.sleep(15)
    os.kill(service.pid, signal.SIGSTOP)
    time.sleep(chance.uniform(0.5, 3))
    os.kill(service.pid, signal.SIGCONT)
    done["SIGSTOP"] += 1


def reload(_: Namespace, service: Service, done: Done, __: random.Random) -> None:
    """The files are read again, of which there are none."""
    time.sleep(5)
    os.kill(service.pid, signal.SIGHUP)
    done["SIGHUP"] += 1


ALL: Sequence[Disturbance] = (
    *(burst, stream, closed),
    *(churn, scrape, watch, strangers),
    *(stopped, reload),
)

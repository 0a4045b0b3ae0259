"""Pairs of emulated cards, joined by taps and a bridge in a network namespace of this machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from support.netns.namespace import Namespace

MTU = 9000
BRIDGE = "bridge"


@dataclass(frozen=True)
class Card:
    """A card that qemu emulates, the Linux driver of it, and its pairs of queues."""

    device: str
    driver: str
    queues: int = 1


CARDS = (
    Card("igb", "igb"),
    Card("virtio-net-pci", "virtio_net", 4),
    Card("vmxnet3", "vmxnet3"),
    Card("e1000e", "e1000e"),
)
BY_DRIVER = {card.driver: card for card in CARDS}


@dataclass(frozen=True)
class End:
    """One card of a pair: what the monitor calls it, and how to plug it in again."""

    mac: str
    name: str
    device: dict[str, Any]
    """arguments of device_add"""


@dataclass(frozen=True)
class Pair:
    """Two cards of one kind; the machine sends from one and counts at the other."""

    driver: str
    sending: End
    counting: End


def wire(card: Card, namespace: Namespace) -> tuple[Pair, list[str]]:
    """Join a pair of cards; return it, and the arguments of qemu."""
    namespace.ip("link", "add", BRIDGE, "mtu", str(MTU), "type", "bridge", "mcast_snooping", "0")
    namespace.ip("link", "set", BRIDGE, "up")
    ends, words = [], []
    for number in (0, 1):
        end, arguments = _end(card, number)
        _tap(namespace, end.device["netdev"], card.queues)
        ends.append(end)
        words += arguments
    return Pair(card.driver, *ends), words


def _tap(namespace: Namespace, tap: str, queues: int) -> None:
    several = ("multi_queue",) if queues > 1 else ()
    namespace.ip("tuntap", "add", tap, "mode", "tap", *several)
    namespace.ip("link", "set", tap, "mtu", str(MTU), "master", BRIDGE, "up")


def _end(card: Card, number: int) -> tuple[End, list[str]]:
    """Return a card, and the arguments that put it into a slot, from which it can be unplugged."""
    tap, slot = f"tap{number}", f"slot{number}"
    mac = f"52:54:00:00:00:{number:02x}"
    device: dict[str, Any] = {"driver": card.device, "netdev": tap, "mac": mac, "bus": slot}
    if card.queues > 1:  # an interrupt for each direction, and two for the card itself
        device |= {"mq": True, "vectors": 2 * card.queues + 2}
    name = f"card{number}"
    backend = f"tap,id={tap},ifname={tap},script=no,downscript=no,queues={card.queues}"
    words = [
        *("-netdev", backend),
        *("-device", f"pcie-root-port,id={slot},chassis={number + 1},slot={number + 1}"),
        *("-device", ",".join(f"{key}={_word(value)}" for key, value in device.items())),
    ]
    words[-1] += f",id={name}"
    return End(mac, name, device | {"id": name}), words


def _word(value: object) -> str:
    return "on" if value is True else str(value)


def plan(pair: Pair) -> dict[str, Any]:
    """Return a pair as JSON has it."""
    return asdict(pair)


def planned(read: dict[str, Any]) -> Pair:
    """Return the pair out of JSON."""
    return Pair(read["driver"], End(**read["sending"]), End(**read["counting"]))

"""The containers of the Kubernetes manifests, run as these say, in a network namespace."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet import UDP

from support.kubernetes.manifests import FOLDER, PROBES, build, pktexp
from support.kubernetes.pod import running
from support.netns.namespace import Namespace
from support.packets.cases import ETHER, V4
from support.patience import wait_for
from support.service.process import parse, select, total

SENT = 100
ADDRESS = "192.0.2.2"
Pair = tuple[Namespace, Namespace]


@pytest.mark.parametrize("name", ["base", "sidecar"])
def test_the_container_passes_its_probes_and_counts(pair: Pair, name: str, tmp_path: Path) -> None:
    outside, inside = pair
    inside.ip("address", "add", f"{ADDRESS}/24", "dev", "vb")
    _, container = pktexp(build(FOLDER / name))
    with running(inside, container, ADDRESS, tmp_path) as pod:
        for probe in PROBES:
            if probe in container:
                pod.wait_for_probe(probe)
        outside.send("va", [bytes(ETHER / V4 / UDP())] * SENT)
        page = parse(pod.get(container["ports"][0]["containerPort"], "/metrics"))
        site = {"interface": "vb", "direction": "ingress", "protocol": "udp"}
        assert total(page, "pktexp_packets_total", **site) == SENT
        (info,) = select(page, "pktexp_interface_info", interface="vb")
        assert dict(info)["peer_netns"] == outside.name
        if name == "base":

            def synced() -> bool:
                text = pod.get(container["ports"][0]["containerPort"], "/metrics")
                return bool(total(parse(text), "pktexp_kubernetes_lists_total"))

            wait_for(synced)

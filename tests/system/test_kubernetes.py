"""`pktexp serve --kubernetes` on a node whose pods talk, and an API server that tells of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.kubernetes.apiserver import ApiServer
from support.kubernetes.node import API, DB, WEB, api_server, in_pod, make_node
from support.kubernetes.podshapes import NODE, pod
from support.monitoring.prometheus import lint
from support.netns.namespace import Namespace
from support.patience import wait_for
from support.screens.browser import chromium, opened
from support.service.api import ask as api
from support.service.process import Page, Service, select, serving

ENDS = ("source_namespace", "source_pod", "dest_namespace", "dest_pod")
PODS = [
    pod("web-1", WEB, namespace="shop"),
    pod("db-0", DB, namespace="store"),
    pod("api-1", API, namespace="shop"),
    pod("kube-proxy-x", host_network=True, namespace="kube-system"),
]


@pytest.fixture
def node(namespaces: Callable[[], Namespace]) -> tuple[Namespace, dict[str, Namespace]]:
    return make_node(namespaces)


@pytest.fixture
def account(tmp_path: Path) -> Path:
    return tmp_path / "account"


@pytest.fixture
def server(node: tuple[Namespace, dict[str, Namespace]], account: Path) -> Iterator[ApiServer]:
    with api_server(node[0], account) as server:
        server.put(*PODS)
        yield server


@pytest.fixture
def service(
    node: tuple[Namespace, dict[str, Namespace]], server: ApiServer, account: Path
) -> Iterator[Service]:
    """Of which WEB has pinged DB and API."""
    host, inside = node
    prefix = in_pod(server.port, account)
    with serving(host, "--kubernetes", "--node-name", NODE, prefix=prefix) as service:
        for name in ("veth-web", "veth-db", "cali-api", "cni0"):
            service.wait_until_attached(name)
        for address in (DB, API):
            inside[WEB].run("ping", "-nqc", "2", "-i", "0.01", address)
        yield service


def owners(page: Page, interface: str, source: str, dest: str) -> tuple[str, ...]:
    """The labels ENDS of the one flow, if it is shown by now."""
    ends = {"interface": interface, "source": source, "dest": dest, "protocol": "icmp"}
    found = select(page, "pktexp_flow_packets_total", **ends, direction="ingress")
    assert len(found) <= 1, found
    return tuple(dict(labels)[name] for labels in found for name in ENDS)


def test_pods_are_named_on_flows_and_follow_the_api_server(
    server: ApiServer, service: Service
) -> None:
    web, db, api = ("shop", "web-1"), ("store", "db-0"), ("shop", "api-1")
    flows = {
        ("veth-web", WEB, DB): web + db,
        ("veth-db", DB, WEB): db + web,
        ("veth-web", WEB, API): web + api,
        ("cali-api", API, WEB): api + web,
    }
    page = service.page_when(lambda page: {flow: owners(page, *flow) for flow in flows} == flows)
    for labels in select(page, "pktexp_flow_packets_total", source="other"):
        assert [dict(labels)[name] for name in ENDS] == [""] * 4
    server.delete(PODS[1])
    service.page_when(lambda page: owners(page, "veth-web", WEB, DB) == (*web, "", ""))
    server.put(pod("db-1", DB, namespace="store"))
    service.page_when(lambda page: owners(page, "veth-web", WEB, DB) == (*web, "store", "db-1"))
    assert lint(service.text()) == ""
    (said,) = [m for m in service.messages() if "kubernetes" in m or "HTTP" in m]
    assert said == f"kubernetes: 4 pods on {NODE}, 3 with addresses"


def test_api_names_pods_and_finds_flows_by_pod(service: Service) -> None:
    wait_for(lambda: api(service, "flows?view=flows&search=DB-0&protocol=icmp")["matched"])
    flows = api(service, "flows?view=flows&search=DB-0&protocol=icmp&interface=veth-web")["flows"]
    assert {x["direction"] for x in flows} == {"ingress", "egress"}
    for flow in flows:
        web, db = ("shop", "web-1"), ("store", "db-0")
        expected = web + db if flow["source"] == WEB else db + web
        assert tuple(flow[name] for name in ENDS) == expected
    (interface,) = api(service, "interfaces?name=veth-web")["interfaces"]
    assert (interface["pod_namespace"], interface["pod"]) == ("shop", "web-1")
    assert api(service, "status")["options"]["kubernetes"] is True


def test_page_shows_pods_beside_their_addresses(service: Service) -> None:
    wait_for(lambda: api(service, "flows?search=db-0&protocol=icmp")["matched"])
    with chromium(service) as browser, opened(browser, service) as view:
        view.page.goto(f"{service.url}?view=flows&search=DB-0&interface=veth-web&protocol=icmp")
        view.wait("document.querySelectorAll('#flows tbody tr').length === 2")
        ends = {tuple(row[:2]) for row in view.rows("#flows")}
        web, db = f"{WEB}shop/web-1", f"{DB}store/db-0"
        assert ends == {(web, db), (db, web)}
        about = {row[0]: row[-1] for row in view.rows("#interfaces")}
        assert "pod shop/web-1" in about["veth-web"]


def behind(page: Page) -> dict[str, tuple[str, str]]:
    """Interface -> namespace and name of the pod."""
    rows = [dict(labels) for labels in select(page, "pktexp_interface_info")]
    return {row["interface"]: (row["pod_namespace"], row["pod"]) for row in rows}


def test_pods_are_named_on_their_interfaces(
    node: tuple[Namespace, dict[str, Namespace]], server: ApiServer, service: Service
) -> None:
    nobody = ("", "")
    expected = {
        "veth-web": ("shop", "web-1"),
        "veth-db": ("store", "db-0"),
        "cali-api": ("shop", "api-1"),
        "cni0": nobody,
        "lo": nobody,
    }
    wait_for(lambda: behind(service.page()) == expected)
    server.delete(PODS[0])
    expected["veth-web"] = nobody
    wait_for(lambda: behind(service.page()) == expected)
    node[0].ip("link", "delete", "veth-db")
    del expected["veth-db"]
    wait_for(lambda: behind(service.page()) == expected)


def value(page: Page, name: str) -> float:
    return page[f"pktexp_kubernetes_{name}", frozenset()]


def test_pods_stay_known_and_age_while_the_api_server_is_away(
    server: ApiServer, service: Service
) -> None:
    page = service.page_when(lambda page: value(page, "pods") == 3)
    assert value(page, "lists_total") == 1
    server.close()
    page = service.page_when(lambda page: value(page, "watch_failures_total") >= 2)
    age = value(page, "synced_age_seconds")
    later = service.page_when(lambda page: value(page, "synced_age_seconds") > age + 0.5)
    assert owners(later, "veth-web", WEB, DB) == ("shop", "web-1", "store", "db-0")
    assert value(later, "pods") == 3
    (warning,) = service.messages("WARNING")
    assert warning.startswith("kubernetes: failed to watch pods")


def test_serve_waits_for_an_api_server_that_starts_later(
    node: tuple[Namespace, dict[str, Namespace]], server: ApiServer, account: Path
) -> None:
    server.close()
    prefix = in_pod(server.port, account)
    with serving(node[0], "--kubernetes", "--node-name", NODE, prefix=prefix) as service:
        page = service.page_when(lambda page: value(page, "watch_failures_total") >= 2)
        assert value(page, "synced_age_seconds") == math.inf
        assert service.get("readyz").status == 200


def test_page_has_no_pods_without_kubernetes(
    node: tuple[Namespace, dict[str, Namespace]],
) -> None:
    with serving(node[0]) as service:
        service.wait_until_attached("veth-web")
        node[1][WEB].run("ping", "-nqc", "1", DB)
        page = service.page()
        flows = select(page, "pktexp_flow_packets_total")
        assert flows
        assert not any(name in dict(labels) for labels in flows for name in ENDS)
        assert set(behind(page).values()) == {("", "")}
        assert "kubernetes" not in service.text()

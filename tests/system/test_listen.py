"""--listen: each kind of address, in namespaces, by real connections."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.netns.namespace import Namespace, making
from support.patience import finished
from support.service.certificates import Authority
from support.service.process import serving

PKTEXP = (sys.executable, "-m", "pktexp")
NONE = ("--interfaces", "none*")  # nothing is counted


@pytest.fixture(scope="module")
def there() -> Iterator[Namespace]:
    """A namespace with the same link-local address at va and vb, and one more at va."""
    with making() as make:
        namespace = make()
        namespace.ip("link", "add", "va", "type", "veth", "peer", "name", "vb")
        namespace.ip("link", "set", "vb", "up")
        for name in ("lo", "va", "vb"):
            namespace.run("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=0")
            namespace.ip("link", "set", name, "up")
        for address, device in (("fe80::1", "va"), ("fe80::1", "vb"), ("2001:db8::1", "va")):
            namespace.ip("address", "add", f"{address}/64", "dev", device, "nodad")
        namespace.ip("address", "add", "192.0.2.1/24", "dev", "va")
        yield namespace


def index(namespace: Namespace, name: str) -> str:
    return str(namespace.link(name)["ifindex"])


def sockets(namespace: Namespace, port: str) -> str:
    """Return the address of the listening socket as the kernel reports it."""
    (line,) = namespace.run("ss", "-Hltn", f"sport = :{port}").splitlines()
    return line.split()[3].rpartition(":")[0]


def healthy(namespace: Namespace, address: str, port: str) -> subprocess.CompletedProcess[str]:
    command = (*PKTEXP, "healthcheck", "--listen", address, "--port", port)
    return finished(namespace.command(*command), capture_output=True)


@pytest.mark.parametrize(
    ("address", "url", "listening"),
    [
        ("192.0.2.1", "http://192.0.2.1:", "192.0.2.1"),
        ("0.0.0.0", "http://localhost:", "0.0.0.0"),
        ("::", "http://localhost:", "[::]"),
        ("::1", "http://[::1]:", "[::1]"),
        ("2001:db8::1", "http://[2001:db8::1]:", "[2001:db8::1]"),
        ("fe80::1%va", "http://[fe80::1%25va]:", "[fe80::1]%va"),
        ("fe80::1%vb", "http://[fe80::1%25vb]:", "[fe80::1]%vb"),
        ("fe80::1%{index}", "http://[fe80::1%25va]:", "[fe80::1]%va"),
        ("localhost", "http://", ""),
    ],
)
def test_address_is_bound_logged_and_healthy(
    there: Namespace, address: str, url: str, listening: str
) -> None:
    address = address.format(index=index(there, "va"))
    with serving(there, "--listen", address, *NONE) as service:
        assert service.url.startswith(url)
        port = service.url.rpartition(":")[2].rstrip("/")
        assert listening in sockets(there, port)
        done = healthy(there, address, port)
        assert (done.returncode, done.stdout[:9]) == (0, "alive at "), done.stdout
        assert address in done.stdout
        if "fe80" in url:
            curl = there.command("curl", "-sgf", f"{service.url}healthz")
            assert finished(curl, capture_output=True, check=True).stdout == "alive\n"
            other = address.replace("%va", "%vb") if "%va" in address else "fe80::1%va"
            if "%v" in address:
                assert healthy(there, other, port).returncode == 1


def test_scoped_address_serves_tls(there: Namespace, tmp_path: Path) -> None:
    Authority(tmp_path).issue("a", "localhost")
    file = tmp_path / "web.yml"
    file.write_text("tls_server_config: {cert_file: a.crt, key_file: a.key}")
    with serving(there, "--listen", "fe80::1%va", "--web.config.file", str(file), *NONE) as service:
        assert service.url.startswith("https://[fe80::1%25va]:")
        port = service.url.rpartition(":")[2].rstrip("/")
        done = healthy(there, "fe80::1%va", port)
        assert (done.returncode, done.stdout) == (0, f"alive at [fe80::1%va]:{port}\n")


BAD = [
    ("fe80::1%nope", "no interface named 'nope'", "'ip link'"),
    ("fe80::1%4242", "no interface named '4242'", "'ip link'"),
    ("fe80::1%", "no interface named ''", "'ip link'"),
    ("fe80::1", "a link-local address needs its interface", "fe80::1%NAME"),
]
ABSENT = [
    ("fe80::99%va", "Cannot assign requested address", "'ip address' lists them"),
    ("192.0.2.77", "Cannot assign requested address", "'ip address' lists them"),
    ("2001:db8::77", "Cannot assign requested address", "'ip address' lists them"),
    ("300.1.1.1", "", "IP address of this machine"),
    ("fe80:::1", "", "IP address of this machine"),
    ("no.such.host.invalid", "", "IP address of this machine"),
]


@pytest.mark.parametrize(("address", "message", "hint"), [*BAD, *ABSENT])
def test_unusable_address_is_an_error_that_says_what_to_do(
    there: Namespace, address: str, message: str, hint: str
) -> None:
    options = ("--listen", address, "--port", "0", *NONE)
    served = finished(there.command(*PKTEXP, "serve", *options), capture_output=True)
    (line,) = served.stderr.splitlines()
    checked = finished(there.command(*PKTEXP, "check", *options), capture_output=True)
    assert (served.returncode, checked.returncode) == (1, 1)
    for text in (line, checked.stdout):
        assert f"'{address}'" in text or f" {address}, port" in text
        assert message in text
        assert hint in text


@pytest.mark.parametrize(("address", "message"), [(a, m) for a, m, _ in BAD])
def test_healthcheck_says_what_is_wrong_with_a_scope(
    there: Namespace, address: str, message: str
) -> None:
    done = healthy(there, address, "1")
    assert done.returncode == 1
    assert message in done.stdout


def test_check_shows_the_scope(there: Namespace) -> None:
    options = ("--listen", "fe80::1%va", "--port", "0", *NONE)
    done = finished(there.command(*PKTEXP, "check", *options), capture_output=True)
    assert "fe80::1%va, port 0 is free" in done.stdout

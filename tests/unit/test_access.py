"""Password checks, and the header `Authorization`."""

from __future__ import annotations

import asyncio
import base64
import threading

import bcrypt
import pytest
from aiohttp import web

from pktexp.web import access
from pktexp.web.access import Passwords, credentials
from support.patience import until

USERS = {
    name: bcrypt.hashpw(password, bcrypt.gensalt(4))
    for name, password in (("alice", b"wonder"), ("bob", b"builder"))
}


@pytest.mark.parametrize("times", [1, 2])  # the second time from the cache
@pytest.mark.parametrize(
    ("name", "password", "expected"),
    [
        ("alice", "wonder", True),
        ("bob", "builder", True),
        ("alice", "builder", False),
        ("bob", "", False),
        ("mallory", "wonder", False),  # an unknown name is checked against the first user's hash
        ("alice", "wonder" + "\0", False),
    ],
)
async def test_only_the_users_own_password_is_accepted(
    name: str, password: str, expected: bool, times: int
) -> None:
    passwords = Passwords()
    for _ in range(times):
        assert await passwords.verify(USERS, "alice", "wonder", "a")
        assert await passwords.verify(USERS, name, password, "a") == expected


async def test_a_changed_password_is_no_longer_accepted() -> None:
    passwords = Passwords()
    assert await passwords.verify(USERS, "alice", "wonder", "a")
    changed = USERS | {"alice": bcrypt.hashpw(b"land", bcrypt.gensalt(4))}
    assert not await passwords.verify(changed, "alice", "wonder", "a")
    assert await passwords.verify(changed, "alice", "land", "a")


async def test_2y_hashes_of_htpasswd_are_accepted() -> None:
    hashed = USERS["alice"].replace(b"$2b$", b"$2y$")
    assert await Passwords().verify({"alice": hashed}, "alice", "wonder", "a")


async def test_verified_passwords_are_cached_within_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "MAX_VERIFIED", 1)
    hashed: list[bytes] = []
    check = bcrypt.checkpw

    def counted(password: bytes, against: bytes) -> bool:
        hashed.append(password)
        return check(password, against)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    passwords = Passwords()
    for name, password in (("alice", "wonder"), ("alice", "wonder"), ("bob", "builder")):
        assert await passwords.verify(USERS, name, password, "a")
    assert await passwords.verify(USERS, "alice", "wonder", "a")
    assert hashed == [b"wonder", b"builder", b"wonder"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Basic " + base64.b64encode("jö:a:b".encode()).decode(), ("jö", "a:b")),
        ("basic " + base64.b64encode(b"a:").decode(), ("a", "")),
        ("Basic " + base64.b64encode(b"nocolon").decode(), None),
        ("Basic %%%", None),
        ("Basic /w==", None),
        ("Bearer " + base64.b64encode(b"a:b").decode(), None),
        ("", None),
    ],
)
def test_credentials_follow_rfc_7617(header: str, expected: tuple[str, str] | None) -> None:
    assert credentials(header) == expected


async def test_one_address_cannot_exhaust_password_checks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(access, "_matches", lambda *_: go_on.wait(30))
    passwords = Passwords()

    def ask(address: str, password: str) -> asyncio.Task[bool]:
        return asyncio.create_task(passwords.verify(USERS, "alice", password, address))

    async def refused(tasks: list[asyncio.Task[bool]]) -> int:
        await until(lambda: any(task.done() for task in tasks))  # each has had its turn by then
        done = [task for task in tasks if task.done()]
        assert all(isinstance(task.exception(), web.HTTPTooManyRequests) for task in done)
        return len(done)

    try:
        guesses = [ask("guesser", str(n)) for n in range(100)]
        assert await refused(guesses) == len(guesses) - access.MAX_PENDING_PER_ADDRESS
        other = ask("other", "wonder")
        crowd = [ask(str(n), "guess") for n in range(access.MAX_PENDING)]
        assert await refused(crowd) == access.MAX_PENDING_PER_ADDRESS + 1
        assert not other.done()
    finally:
        go_on.set()
    assert await other
    await asyncio.gather(*guesses, *crowd, return_exceptions=True)
    assert await ask("guesser", "later")  # pending checks have ended

"""Who may ask: passwords and names of certificates, as the web configuration says (security.py).

Health is open to whoever can connect, as probes of containers cannot authenticate.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import secrets
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import bcrypt
from aiohttp import web

from pktexp.web.config import WebConfig
from pktexp.web.security import Security
from pktexp.web.tls import canonical

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KINDS = ("DNS", "email", "URI", "IP Address")  # of names, as Python's ssl calls them
OPEN = ("/healthz", "/readyz")
REMEMBERED = 128  # passwords that were right
LONGEST = 72  # bytes of a password that bcrypt takes
WAITING = 64  # passwords that wait to be checked
EACH = 8  # of these, those from one address, so that who guesses does not keep out the others
CHALLENGE = {"WWW-Authenticate": 'Basic realm="pktexp", charset="UTF-8"'}


class Passwords:
    """Checks them off the loop, in one thread, so that guessing takes no more than one CPU."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._waiting: Counter[str] = Counter()  # by address
        self._executor = ThreadPoolExecutor(1, "password")

    async def right(
        self, users: Mapping[str, bytes], name: str, password: str, address: str
    ) -> bool:
        """Whether this is the user's; for a name that is not known it takes as long to say no.

        HTTPTooManyRequests if too many wait already.
        """
        hashed = users.get(name) or next(iter(users.values()))
        given = password.encode()[:LONGEST]
        digest = hmac.digest(self._key, hashed + given, "sha256")
        if digest in self._right:
            return name in users
        if not await self._check(given, hashed, address):
            return False
        self._right[digest] = None
        if len(self._right) > REMEMBERED:
            self._right.popitem(last=False)
        return name in users

    async def _check(self, given: bytes, hashed: bytes, address: str) -> bool:
        if self._waiting[address] >= EACH or self._waiting.total() >= WAITING:
            raise web.HTTPTooManyRequests(text="too many passwords wait to be checked\n")
        self._waiting[address] += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._executor, _matches, given, hashed)
        finally:
            self._waiting -= Counter((address,))  # which leaves out what is none


def _matches(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, hashed)
    except ValueError:  # a hash with an impossible cost
        return False


def credentials(header: str) -> tuple[str, str] | None:
    """Name and password of a header `Authorization` (RFC 7617); None if it is no such."""
    scheme, _, encoded = header.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    name, colon, password = text.partition(":")
    return (name, password) if scheme.lower() == "basic" and colon else None


def names_of(request: web.Request) -> set[str]:
    """Subject alternative names of the client's certificate, of the kinds that can be allowed."""
    certificate = (request.get_extra_info("peercert") or {}) if request.transport else {}
    names = certificate.get("subjectAltName", ())
    return {canonical(name) for kind, name in names if kind in KINDS}


def guard(app: web.Application, security: Security) -> None:
    """Lets requests to `app` pass, or answers 401, 403 or 429 and closes; adds the headers."""
    passwords = Passwords()

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.path not in OPEN:
                await _require(request, security.state.config, passwords)
        except web.HTTPClientError as refusal:
            security.refused[refusal.status] += 1
            refusal.force_close()
            raise
        return await handler(request)

    async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(security.state.config.headers)

    app.middlewares.append(check)
    app.on_response_prepare.append(add_headers)


async def _require(request: web.Request, config: WebConfig, passwords: Passwords) -> None:
    names = config.tls.allowed_names if config.tls else None
    if names and not names & names_of(request):
        raise web.HTTPForbidden(text="the certificate has none of the allowed names\n")
    if not config.users:
        return
    given = credentials(request.headers.get("Authorization", ""))
    if not (given and await passwords.right(config.users, *given, request.remote or "")):
        raise web.HTTPUnauthorized(text="name and password, please\n", headers=CHALLENGE)

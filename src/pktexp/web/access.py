"""Authorize requests by password and by the names in the client's certificate.

The web configuration in force (security.py) sets the rules. The health endpoints need no password,
as container probes cannot authenticate.
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

NAME_TYPES = ("DNS", "email", "URI", "IP Address")  # as Python's ssl spells them
PUBLIC_PATHS = ("/healthz", "/readyz")
MAX_VERIFIED = 128  # passwords remembered as correct
MAX_PASSWORD_BYTES = 72  # the most that bcrypt uses
MAX_PENDING = 64  # password checks under way or queued
MAX_PENDING_PER_ADDRESS = 8  # so that one guessing client does not lock out the others
CHALLENGE = {"WWW-Authenticate": 'Basic realm="pktexp", charset="UTF-8"'}


class Passwords:
    """Verify passwords in one thread, so that guessing them costs one CPU at most.

    Correct passwords are remembered as keyed digests, and verified without bcrypt from then on.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._verified: OrderedDict[bytes, None] = OrderedDict()  # digests, oldest first
        self._pending: Counter[str] = Counter()  # by client address
        self._executor = ThreadPoolExecutor(1, "password")

    async def verify(
        self, users: Mapping[str, bytes], name: str, password: str, address: str
    ) -> bool:
        """Return whether `password` is that of the user `name`; unknown names cost as much time.

        Raises HTTPTooManyRequests when too many checks are pending.
        """
        hashed = users.get(name) or next(iter(users.values()))
        given = password.encode()[:MAX_PASSWORD_BYTES]
        digest = hmac.digest(self._key, hashed + given, "sha256")
        if digest in self._verified:
            return name in users
        if not await self._check(given, hashed, address):
            return False
        self._verified[digest] = None
        if len(self._verified) > MAX_VERIFIED:
            self._verified.popitem(last=False)
        return name in users

    async def _check(self, given: bytes, hashed: bytes, address: str) -> bool:
        of_address = self._pending[address]
        if of_address >= MAX_PENDING_PER_ADDRESS or self._pending.total() >= MAX_PENDING:
            raise web.HTTPTooManyRequests(text="too many pending password checks, retry later\n")
        self._pending[address] += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._executor, _matches, given, hashed)
        finally:
            self._pending -= Counter((address,))  # also removes counts of zero


def _matches(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, hashed)
    except ValueError:  # a hash with an impossible cost
        return False


def credentials(header: str) -> tuple[str, str] | None:
    """Return name and password of an `Authorization` header (RFC 7617); None for any other."""
    scheme, _, encoded = header.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    name, colon, password = text.partition(":")
    return (name, password) if scheme.lower() == "basic" and colon else None


def certificate_names(request: web.Request) -> set[str]:
    """Return the client certificate's subject alternative names of the types in NAME_TYPES."""
    certificate = (request.get_extra_info("peercert") or {}) if request.transport else {}
    names = certificate.get("subjectAltName", ())
    return {canonical(name) for kind, name in names if kind in NAME_TYPES}


def guard(app: web.Application, security: Security) -> None:
    """Make `app` authorize every request, and add the configured headers to every response.

    Refused requests get 401, 403 or 429, are counted by status, and end the connection.
    """
    passwords = Passwords()

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.path not in PUBLIC_PATHS:
                await _authorize(request, security.state.config, passwords)
        except web.HTTPClientError as refusal:
            security.refused[refusal.status] += 1
            refusal.force_close()
            raise
        return await handler(request)

    async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(security.state.config.headers)

    app.middlewares.append(check)
    app.on_response_prepare.append(add_headers)


async def _authorize(request: web.Request, config: WebConfig, passwords: Passwords) -> None:
    names = config.tls.allowed_names if config.tls else None
    if names and not names & certificate_names(request):
        raise web.HTTPForbidden(text="the client certificate has none of the allowed names\n")
    if not config.users:
        return
    given = credentials(request.headers.get("Authorization", ""))
    if not (given and await passwords.verify(config.users, *given, request.remote or "")):
        raise web.HTTPUnauthorized(text="user name and password required\n", headers=CHALLENGE)

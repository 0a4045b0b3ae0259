"""Requests to a service that requires a certificate and a password."""

from __future__ import annotations

import base64
import ssl
import urllib.error
import urllib.request
from email.message import Message

from support.patience import PATIENCE
from support.service.process import Service

NAME, PASSWORD = "prometheus", "correct horse"


def ask(
    service: Service, path: str, context: ssl.SSLContext, password: str | None = PASSWORD
) -> tuple[int, str, Message]:
    """Return status, text and headers of an answer."""
    request = urllib.request.Request(service.url + path)
    if password is not None:
        encoded = base64.b64encode(f"{NAME}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {encoded}")
    try:
        with (
            service.namespace.entered(),
            urllib.request.urlopen(request, timeout=PATIENCE, context=context) as answer,
        ):
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers

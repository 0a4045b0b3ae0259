"""Configure an SSL context by a validated TLS section (tls.py).

OpenSSL's errors do not name the file at fault, so certificate, key and authorities are checked one
by one.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Never

from pktexp.errors import PktexpError
from pktexp.web import pem
from pktexp.web.tls import TlsConfig

# The first is OpenSSL's reason for a key of another type (EC, RSA) than the certificate's.
MISMATCHES = ("NO_CERTIFICATE_ASSIGNED", "KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH")


def configure_context(config: TlsConfig, context: ssl.SSLContext) -> None:
    """Apply the section to a fresh context. Raises PktexpError if OpenSSL rejects a file."""
    _load_pair(config, context)
    if config.client_ca is not None:
        _check_certificates(config, config.client_ca, "client_ca")
        pem.load_authorities(context, config.client_ca)
        # As in Go, any certificate in the file is a root, an intermediate authority included.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        _set_parameters(config, context)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        message = f"cannot set up TLS: {_reason(error)}"
        raise config.section.error(message, "change cipher_suites or curve_preferences") from error


def _set_parameters(config: TlsConfig, context: ssl.SSLContext) -> None:
    context.minimum_version, context.maximum_version = config.minimum, config.maximum
    context.verify_mode = config.client_auth
    if config.ciphers:
        context.set_ciphers(":".join(config.ciphers))
    if config.curve:
        context.set_ecdh_curve(config.curve)
    if not config.server_prefers:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE


def _load_pair(config: TlsConfig, context: ssl.SSLContext) -> None:
    """Load certificate and key."""
    certificate, key = _named(config.cert, "cert"), _named(config.key, "key")

    def refuse_passphrase() -> Never:
        # Without a callback OpenSSL would prompt at the terminal.
        hint = "remove it with 'openssl pkey', and protect the file by its mode"
        raise config.section.error(f"the private key {key} has a passphrase", hint)

    _check_certificates(config, config.cert, "cert")
    _check_key(config)
    try:
        with pem.path(config.cert) as cert_path, pem.path(config.key) as key_path:
            context.load_cert_chain(cert_path, key_path, password=refuse_passphrase)
    except OSError as error:
        reason = _reason(error)
        if reason in MISMATCHES:
            hint = (
                "set key_file to the key of this certificate; "
                "in a chain, the server's own certificate comes first"
            )
            message = f"the private key {key} does not belong to the certificate {certificate}"
            raise config.section.error(message, hint) from error
        hint = "replace the key, or the certificate and the key"
        message = f"cannot use the private key {key} with the certificate {certificate}: {reason}"
        raise config.section.error(message, hint) from error


def _check_certificates(config: TlsConfig, given: Path | str, option: str) -> None:
    """Raise PktexpError if the PEM is unreadable, has no certificate, or has a malformed one."""
    name = _named(given, option)
    try:
        if not pem.holds_certificate(given):
            raise _misplaced(config, given, option, "certificate")
        pem.load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), given)
    except OSError as error:
        hint = f"set {option}_file to a readable PEM file with complete certificates"
        message = f"cannot read the certificate {name}: {_reason(error)}"
        raise config.section.error(message, hint) from error


def _check_key(config: TlsConfig) -> None:
    """Raise PktexpError if the PEM is unreadable or has no private key."""
    try:
        if not pem.holds_key(config.key):
            raise _misplaced(config, config.key, "key", "private key")
    except OSError as error:
        message = f"cannot read the private key {_named(config.key, 'key')}: {_reason(error)}"
        hint = "set key_file to a file that this process may read"
        raise config.section.error(message, hint) from error


def _misplaced(config: TlsConfig, given: Path | str, option: str, wanted: str) -> PktexpError:
    found = ", ".join(dict.fromkeys(pem.labels(given))) or "no PEM block"
    message = f"{_named(given, option)} holds no {wanted}, but {found}"
    return config.section.error(message, f"set {option}_file to a PEM file with a {wanted}")


def _named(given: Path | str, option: str) -> str:
    return str(given) if isinstance(given, Path) else f"in '{option}'"


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)

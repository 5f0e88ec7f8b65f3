"""The client's side of TLS with the service: what is verified, and what went wrong in words."""

from __future__ import annotations

import ssl

from loadpath.errors import ConfigurationError
from loadpath.spec.service import Tls

_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


def client_context(tls: Tls) -> ssl.SSLContext:
    """What connections to a service are secured with.

    Raises `ConfigurationError` when its `ca` cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if tls.ca is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        context.load_verify_locations(tls.ca)
    except OSError as error:
        raise ConfigurationError(
            f"`service.tls.ca`: expected a file of certificates (PEM), "
            f"it cannot be read: {error.strerror or error}",
            file=str(tls.ca),
        ) from None
    return context


def tls_words(error: OSError) -> str:
    """Why a handshake failed, as people say it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {_lower(error.verify_message.rstrip('.'))}"
    if isinstance(error, ssl.SSLEOFError):
        return "the connection was closed in the handshake"
    if isinstance(error, ssl.SSLError):
        if error.reason in _NO_TLS:
            return "what answers does not speak TLS"
        if error.reason:
            return f"the handshake failed: {error.reason.lower().replace('_', ' ')}"
        return "the handshake failed"
    if isinstance(error, ConnectionError):
        return "the connection was closed in the handshake"
    return (error.strerror or str(error)).lower()


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]

"""The TCP socket that the server listens on, and its TLS."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from shadowmesh.backbone.errors import CannotStart

_BACKLOG = 2048
# A peer that takes nothing for 30 s is gone, whatever it acknowledges: its buffers are freed (RFC 5482).
_USER_TIMEOUT_MS = 30_000


def parse_listen(text: str) -> tuple[str, int]:
    """From `192.0.2.1:8443` or `[2001:db8::1]:8443`. Raises CannotStart."""
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise CannotStart(f"{text!r} is not HOST:PORT")
    return host, int(port)


def listen(host: str, port: int) -> socket.socket:
    """Port 0 takes a free one. Raises CannotStart."""
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotStart(f"cannot listen on {host}: {error.strerror}") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
        listening.bind(address)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise CannotStart(f"cannot listen on {host} port {port}: {error.strerror}") from None
    return listening


def first_address(host: str) -> str:
    """The IP address that `listen` would take for this host. Raises CannotStart."""
    try:
        return str(socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][4][0])
    except OSError as error:
        raise CannotStart(f"cannot listen on {host}: {error.strerror}") from None


def check_tls(certificate: Path | None, key: Path | None) -> bool:
    """Whether TLS is wanted; both files are then good. Raises CannotStart."""
    if certificate is None and key is None:
        return False
    if certificate is None or key is None:
        raise CannotStart("TLS needs both --tls-cert and --tls-key")
    for path in (certificate, key):
        try:
            path.read_bytes()
        except OSError as error:
            raise CannotStart(f"{path}: {error.strerror}") from None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise CannotStart(f"{certificate} and {key} are not a certificate and its key ({error})") from None
    return True

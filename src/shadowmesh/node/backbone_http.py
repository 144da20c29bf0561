"""HTTP towards one backbone node: bounded in size and time, no redirects, no cookies, no compression."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from shadowmesh import __name__ as product
from shadowmesh.backbone_protocol.body import decode_json
from shadowmesh.backbone_protocol.problems import PROBLEM_MEDIA_TYPE, Problem
from shadowmesh.backbone_protocol.queries import ErrorReply
from shadowmesh.wire.errors import DecodeError

REQUEST_TIMEOUT_S = 15.0
"""A log-in is 16 KB and two round trips: 5 s at 32 kbit/s."""
CONNECT_TIMEOUT_S = 7.0
"""Three SYNs: 0, 1 and 3 s (RFC 6298 §2), and a round trip."""
WS_CLOSE_TIMEOUT_S = 1.0
"""A stopping node waits no longer for the other side's close frame."""
MAX_CONNECTIONS = 4
MAX_ERROR_BYTES = 4096
MAX_RETRY_AFTER_S = 3600.0
_DEFAULT_PORTS = {"https": 443, "http": 80}


class BackboneRefused(Exception):
    """The request came to nothing. `problem` is None when no backbone node answered as one does."""

    def __init__(self, problem: Problem | None, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer."""

    status: int
    body: bytes = field(repr=False)


class BackboneHttp:
    """Every method raises BackboneRefused."""

    def __init__(self, url: str, ca_file: str) -> None:
        """`ca_file`: PEM, in place of the system's authorities; "" for those. Must run inside the event loop."""
        self._url = url.rstrip("/")
        self.authority = authority_of(url)
        self._tls = _tls(url, ca_file)
        self._session = self._new_session()

    async def request(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes = b"", max_bytes: int
    ) -> Answer:
        """`path` with its query. The answer's body has at most `max_bytes`."""
        try:
            async with self._session.request(
                method, self._url + path, data=body or None, headers=headers, allow_redirects=False
            ) as response:
                if 200 <= response.status < 300:
                    return Answer(response.status, await _read(response, max_bytes))
                raise await _refusal(response)
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            raise BackboneRefused(None, f"{self.authority}: {_reason(error)}") from None

    async def open_socket(
        self, path: str, *, headers: dict[str, str], max_bytes: int, heartbeat_s: float
    ) -> aiohttp.ClientWebSocketResponse:
        try:
            return await self._session.ws_connect(
                self._url + path,
                headers=headers,
                max_msg_size=max_bytes,
                heartbeat=heartbeat_s,
                compress=0,
                timeout=aiohttp.ClientWSTimeout(ws_close=WS_CLOSE_TIMEOUT_S),
            )
        except aiohttp.WSServerHandshakeError as error:
            raise BackboneRefused(None, f"{self.authority}: HTTP {error.status} to the WebSocket request") from None
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            raise BackboneRefused(None, f"{self.authority}: {_reason(error)}") from None

    async def close(self) -> None:
        await self._session.close()

    async def drop_connections(self) -> None:
        """The network has changed: none of them leads anywhere. The next request makes a new one."""
        before, self._session = self._session, self._new_session()
        await before.close()

    def _new_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=self._tls),
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"Accept-Encoding": "identity", "User-Agent": product},
        )


def authority_of(url: str) -> str:
    """Host, and port unless it is the scheme's own, in lower case (RFC 3986 §3.2, §6.2.3). Raises ValueError."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


def _tls(url: str, ca_file: str) -> ssl.SSLContext | bool:
    if not url.startswith("https:"):
        return True
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise BackboneRefused(None, f"ca_file {ca_file} can't be used ({error.strerror or error})") from None


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    parts, left = [], max_bytes
    while part := await response.content.read(left + 1):
        left -= len(part)
        if left < 0:
            response.close()
            raise BackboneRefused(None, f"{response.host}: an answer of more than {max_bytes} bytes")
        parts.append(part)
    return b"".join(parts)


async def _refusal(response: aiohttp.ClientResponse) -> BackboneRefused:
    plain = BackboneRefused(None, f"{response.host}: HTTP {response.status}", _retry_after(response))
    if response.content_type != PROBLEM_MEDIA_TYPE:
        return plain
    try:
        error = decode_json(await _read(response, MAX_ERROR_BYTES), ErrorReply)
    except DecodeError:
        return plain
    problem = Problem.of_urn(error.type)
    if problem is None:
        return plain
    return BackboneRefused(problem, error.detail or problem.title, _retry_after(response))


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """In seconds; the date form (RFC 9110 §10.2.3) needs a right clock, which we may not have."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), MAX_RETRY_AFTER_S) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its TLS certificate is not accepted ({error.certificate_error})"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"can't connect ({error.os_error.strerror or error.os_error})"
    return str(error) or type(error).__name__

"""Which request brings which document. Client and server both read this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from shadowmesh.control import diagnosis, schema

Q = TypeVar("Q", bound=msgspec.Struct | None)
R = TypeVar("R", bound=schema.Document)


@dataclass(frozen=True, slots=True)
class Route(Generic[Q, R]):
    method: str
    path: str
    request: type[Q]  # type(None): no body
    reply: type[R]


STATUS = Route("GET", "/v1/status", type(None), schema.StatusDocument)
TRUSTED = Route("GET", "/v1/trusted", type(None), schema.TrustListDocument)
TRUST = Route("POST", "/v1/trust", schema.TrustRequest, schema.TrustedDocument)
UNTRUST = Route("POST", "/v1/untrust", schema.PeerRequest, schema.TrustedDocument)
LOOKUP = Route("POST", "/v1/lookup", schema.PeerRequest, schema.LookupDocument)
PING = Route("POST", "/v1/ping", schema.PingRequest, schema.PingDocument)
NETCHECK = Route("POST", "/v1/netcheck", type(None), diagnosis.NetcheckDocument)
WHY = Route("POST", "/v1/why", schema.PeerRequest, diagnosis.WhyDocument)
STOP = Route("POST", "/v1/stop", type(None), schema.StoppingDocument)

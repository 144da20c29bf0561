"""What an operator chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from shadowmesh.backbone.http.request_limits import BODY_TIME_S, HANDLING_TIME_S
from shadowmesh.backbone.limits.addresses import Network
from shadowmesh.backbone.limits.rates import Rates
from shadowmesh.records.region import Region
from shadowmesh.wire.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class BackboneConfig:
    """`urls`: this node's own, the first is the one in the directory; log-ins are signed for one of them."""

    urls: Sequence[str]
    region: Region = Region.EUROPE
    stun: Sequence[Endpoint] = ()  # as clients reach it
    behind_proxies: Sequence[Network] = ()  # whose X-Forwarded-For is believed
    unlimited_from: Sequence[Network] = ()  # not counted by address
    metrics_from: Sequence[Network] = ()  # besides loopback
    workers: int = 1  # threads that check signatures
    rates: Rates = field(default_factory=Rates)
    body_time_s: float = BODY_TIME_S
    handling_time_s: float = HANDLING_TIME_S

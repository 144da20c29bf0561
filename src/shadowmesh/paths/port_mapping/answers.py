"""What an answer of the router means, whatever the protocol."""

from __future__ import annotations

from dataclasses import dataclass

from shadowmesh.wire.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Granted:
    external: Endpoint
    lifetime_s: int


@dataclass(frozen=True, slots=True)
class AskAgain:
    """The exchange has another step: the client's next request goes out at once."""


@dataclass(frozen=True, slots=True)
class Refused:
    reason: str


@dataclass(frozen=True, slots=True)
class Silent:
    """The router was not reached."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The router has no mapping for us now."""


Answer = Granted | AskAgain | Refused | Silent | Ended

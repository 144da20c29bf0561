"""The documents of `netcheck` and `why`, schema "shadowmesh/1". Spec: docs/spec/control.md, section 3."""

from __future__ import annotations

from typing import Literal

import msgspec

from shadowmesh.control.schema import Document, Peer

MappingName = Literal["unknown", "none", "endpoint-independent", "address-dependent", "address-and-port-dependent"]
FilteringName = Literal["unknown", "endpoint-independent", "address-dependent", "address-and-port-dependent"]
CandidateKindName = Literal["host", "server-reflexive", "mapped", "peer-reflexive"]
MappingStateName = Literal["searching", "mapped", "double-nat", "failed", "released"]
RoleName = Literal["plain", "predict", "await-prediction", "spray", "hold-ports", "none"]
OutcomeName = Literal["direct", "foretold", "by-trying", "never"]


class Nat(msgspec.Struct, frozen=True, kw_only=True):
    """Terms of RFC 4787. `port_step`, `ports`: where a new mapping's port will be, if the mapping is dependent."""

    mapping: MappingName
    filtering: FilteringName
    port_step: int  # 0: at random
    ports: tuple[int, int] | None  # first and last that it may be
    words: str


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    kind: CandidateKindName
    endpoint: str


class Observer(msgspec.Struct, frozen=True, kw_only=True):
    endpoint: str
    url: str
    region: str
    seen_as: str | None  # null: it did not answer
    rtt_s: float | None  # null: not measured, as it had to be asked again


class PortMapping(msgspec.Struct, frozen=True, kw_only=True):
    """At one router that is our way out."""

    gateway: str
    state: MappingStateName
    protocol: str | None
    external: str | None
    reason: str


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How a group of peers is reached from here."""

    peers: str
    outcome: OutcomeName
    words: str


class NetcheckDocument(Document, frozen=True, kw_only=True):
    took_s: float
    port: int  # UDP, of this node
    udp: bool | None  # whether UDP passes; null: nobody could be asked
    ipv4: list[str]  # our endpoints as others see them
    ipv6: list[str]
    nat: Nat  # of IPv4
    candidates: list[Candidate]  # what trusted peers are told
    port_mappings: list[PortMapping]
    observers: list[Observer]
    regions: dict[str, float | None]  # round trip to the nearest backbone node in each
    reach: list[Reach]
    backbone: str  # why no backbone node is reached; empty: one is
    advice: list[str]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    age_s: float  # since it began
    looked_up: bool
    called: bool
    call_failed: bool
    tried: list[str]  # endpoints that handshakes were sent to


class ProbedEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    endpoint: str
    kind: CandidateKindName
    probes_sent: int
    rtt_s: float | None  # null: no answer


class Punch(msgspec.Struct, frozen=True, kw_only=True):
    """The last attempt to open a path through the NATs."""

    age_s: float
    role: RoleName
    words: str
    probes_sent: int
    probed: list[ProbedEndpoint]


class Path(msgspec.Struct, frozen=True, kw_only=True):
    endpoint: str
    rtt_s: float | None


class WhyDocument(Document, frozen=True, kw_only=True):
    peer: Peer
    has_record: bool
    online: bool | None  # as the backbone said last
    backbone: str  # why no backbone node is reached; empty: one is
    told: list[Candidate]  # the peer's addresses, by its last call or answer
    own_nat: Nat
    peer_nat: Nat
    attempt: Attempt | None
    punch: Punch | None
    alternates: list[Path]  # other ways to a connected peer
    summary: str
    advice: list[str]

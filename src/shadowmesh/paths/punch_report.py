"""What an attempt to open a path did, for people."""

from __future__ import annotations

from dataclasses import dataclass

from shadowmesh.paths.candidates import CandidateKind
from shadowmesh.paths.nat_behaviour import NatBehaviour
from shadowmesh.paths.punch_plan import Role
from shadowmesh.wire.endpoint import Endpoint

MAX_REPORTED = 64  # endpoints: eight candidates, sixteen guessed ports of each of three, and what answered besides


@dataclass(frozen=True, slots=True)
class ProbedEndpoint:
    """`rtt_s` is None when nothing came back from there."""

    endpoint: Endpoint
    kind: CandidateKind
    probes_sent: int
    rtt_s: float | None


@dataclass(frozen=True, slots=True)
class PunchReport:
    """`probes_sent` counts those to ports at random too, which `probed` has only where one answered."""

    began_at: float
    own_nat: NatBehaviour
    peer_nat: NatBehaviour
    role: Role
    probes_sent: int
    probed: tuple[ProbedEndpoint, ...]

    @property
    def found(self) -> bool:
        return any(each.rtt_s is not None for each in self.probed)

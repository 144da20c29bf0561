"""One attempt to open a path to one peer: what was sent where, what is due. Spec: docs/spec/paths.md, section 6."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.nat_behaviour import Mapping, NatBehaviour
from shadowmesh.paths.probe_datagram import ProbeKeys
from shadowmesh.paths.probed_session import ReplayWindow
from shadowmesh.paths.punch_plan import (
    MAX_SPRAY_PROBES,
    Role,
    choose_role,
    holds_ports,
    predicted,
    random_ports,
    sockets_to_hold,
)
from shadowmesh.paths.punch_report import MAX_REPORTED, ProbedEndpoint, PunchReport
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy

# Repeated quickly at first, as the two sides do not begin at the same moment; then slowly, for a lossy path.
PROBE_OFFSETS_S = (0.0, 0.05, 0.15, 0.35, 0.75, 1.5, 3.0, 5.0)
SPRAY_AFTER_S = 1.0  # what plain probes can open is open by then, over a path of up to 300 ms
SPRAY_INTERVAL_S = 0.02
SPRAY_BATCH = 4  # 200 probes a second: 14 kB, which the slowest uplink carries
MAX_LATE_BATCHES = 8  # made up for at once by a machine that is busy; one that slept begins where it was
HOLD_OFFSETS_S = (0.0, 1.5, 3.0)  # each held port sends again, for what was lost
GIVE_UP_AFTER_S = 9.0  # all 1,024 probes are out, and two seconds of round trips beyond
PLAIN_GIVE_UP_AFTER_S = PROBE_OFFSETS_S[-1] + 1.5  # nothing but the scheduled probes is sent
MAX_TARGETS = 40  # of two calls that cross: 8 candidates and 16 predicted ports each, mostly the same
MAX_LEARNT = 4  # addresses that only probes of the peer have shown: its NAT has one, or one for each of ours


@dataclass(slots=True)
class Target:
    """An endpoint that is probed by the schedule."""

    endpoint: Endpoint
    kind: CandidateKind
    began_at: float
    sent: int = 0
    answered: bool = False

    @property
    def is_ipv4(self) -> bool:
        return self.endpoint.address.version == 4

    @property
    def due_at(self) -> float | None:
        is_over = self.answered or self.sent == len(PROBE_OFFSETS_S)
        return None if is_over else self.began_at + PROBE_OFFSETS_S[self.sent]

    def is_due(self, now: float) -> bool:
        return self.due_at is not None and now >= self.due_at

    def skip_to(self, now: float) -> None:
        """A probe is sent: one for all that were missed, when we are late."""
        while self.is_due(now):
            self.sent += 1


@dataclass(slots=True)
class Punch:
    peer: PeerID
    own_nat: NatBehaviour
    peer_nat: NatBehaviour
    started_at: float
    keys: dict[bytes, ProbeKeys] = field(default_factory=dict)  # by tag; the last one is sent with
    targets: dict[Endpoint, Target] = field(default_factory=dict)
    window: ReplayWindow = field(default_factory=ReplayWindow)
    outstanding: dict[bytes, tuple[Endpoint, int, float]] = field(default_factory=dict)  # destination, via, sent at
    held_ports: tuple[int, ...] = ()
    handed_over: set[int] = field(default_factory=set)  # of them, to the mesh: the peer has come through them
    released_ports: set[int] = field(default_factory=set)
    holds_sent: int = 0
    ports_asked: int = 0
    waits_for_ports: bool = False
    probes_sent: int = 0
    sprayed: int = 0  # of them, to ports that were drawn
    found: bool = False
    answers: dict[Endpoint, float] = field(default_factory=dict)  # round trips
    last_sent_us: int = 0
    called_at: float = field(init=False)
    _spray: Iterator[int] | None = None
    _spray_due_at: float = 0.0

    def __post_init__(self) -> None:
        self.called_at = self.started_at

    @property
    def role(self) -> Role:
        return choose_role(self.own_nat, self.peer_nat)

    @property
    def give_up_at(self) -> float:
        return self.started_at + (GIVE_UP_AFTER_S if self.role.is_by_chance else PLAIN_GIVE_UP_AFTER_S)

    def add(self, candidates: Sequence[Candidate], now: float) -> None:
        """Where we are to probe, without what would only spoil a prediction."""
        outside = (each for each in candidates if each.kind is CandidateKind.SERVER_REFLEXIVE and _is_ipv4(each))
        newest = next(outside, None)
        for candidate in candidates:
            for endpoint in self._aims(candidate, is_newest=candidate is newest):
                if endpoint not in self.targets and len(self.targets) < MAX_TARGETS:
                    self.targets[endpoint] = Target(endpoint, candidate.kind, now)

    def nats_are(self, own: NatBehaviour, peer: NatBehaviour, now: float) -> bool:
        """More may be known of the two than when the punch began: then it begins again, in its new role.

        Not after its first time is over: who changes the role with each call would keep our ports open for ever.
        Returns whether the ports that are held are of no more use: behind a NAT that counts, only fresh ones are.
        """
        before = self.role, self.peer_nat.ports
        self.own_nat, self.peer_nat = own, peer
        begins_again = (self.role, peer.ports) != before and now < self.called_at + GIVE_UP_AFTER_S
        if not begins_again:
            return False
        self.started_at = now
        self._spray = None
        self.holds_sent = 0
        if own.is_predictable:
            self.ports_asked = 0
        return own.is_predictable

    def learn(self, source: Endpoint, now: float) -> bool:
        """The peer's probe came from there. False when it says nothing new."""
        learnt = sum(target.kind is CandidateKind.PEER_REFLEXIVE for target in self.targets.values())
        if source in self.targets or learnt >= MAX_LEARNT:
            return False
        self.targets[source] = Target(source, CandidateKind.PEER_REFLEXIVE, now)
        return True

    def hand_over(self, port: int) -> bool:
        """The peer's probe came through it. False when that was so with enough others."""
        if port not in self.handed_over and port in self.held_ports:
            if len(self.handed_over) >= MAX_LEARNT:
                return False
            self.handed_over.add(port)
        return True

    @property
    def outside(self) -> Endpoint | None:
        """Of the peer: where a hard NAT was seen last, or an easy one always is."""
        untranslated = self.peer_nat.mapping is Mapping.NONE
        kind = CandidateKind.HOST if untranslated else CandidateKind.SERVER_REFLEXIVE
        return next((each.endpoint for each in self.targets.values() if each.kind is kind and each.is_ipv4), None)

    def spray_due_at(self) -> float | None:
        """None: there is nothing to spray, or nothing left of it."""
        if self.found or self.role is not Role.SPRAY or self.outside is None:
            return None
        if self._spray is None:
            return self.started_at + SPRAY_AFTER_S
        return self._spray_due_at

    def next_spray(self, entropy: Entropy, now: float) -> list[Endpoint]:
        base = self.outside
        if base is None:
            return []
        if self._spray is None:
            self._spray = random_ports(self.peer_nat.ports, MAX_SPRAY_PROBES - self.sprayed, entropy)
            self._spray_due_at = now
        due_at = max(self._spray_due_at, now - MAX_LATE_BATCHES * SPRAY_INTERVAL_S)
        batches = 1 + round((now - due_at) / SPRAY_INTERVAL_S)
        drawn = list(islice(self._spray, batches * SPRAY_BATCH))
        self._spray_due_at = due_at + batches * SPRAY_INTERVAL_S if drawn else self.give_up_at + 1
        self.sprayed += len(drawn)
        return [Endpoint(base.address, port) for port in drawn]

    def hold_due_at(self) -> float | None:
        """When ports are to be opened, or to send again: all of them to the one endpoint that the peer's NAT has."""
        if self.found or self.outside is None or not holds_ports(self.role, self.own_nat):
            return None
        has_work = self.ports_to_ask > 0 or self.held_ports
        if self.waits_for_ports or not has_work or self.holds_sent == len(HOLD_OFFSETS_S):
            return None
        return self.started_at + SPRAY_AFTER_S + HOLD_OFFSETS_S[self.holds_sent]

    @property
    def ports_to_ask(self) -> int:
        """What the system did not give is not asked for again; a later call may show that our NAT takes more ports."""
        return max(0, sockets_to_hold(self.role, self.own_nat) - self.ports_asked)

    def hold_targets(self) -> list[Endpoint]:
        """Where each held port sends: to where the peer is, or may be if its NAT counts as well."""
        if self.role is not Role.PREDICT:
            return [] if self.outside is None else [self.outside]
        kind = CandidateKind.SERVER_REFLEXIVE
        return [each.endpoint for each in self.targets.values() if each.kind is kind and each.is_ipv4]

    def skip_holds(self, now: float) -> None:
        """Once for all that were missed, when we are late."""
        while (due_at := self.hold_due_at()) is not None and now >= due_at:
            self.holds_sent += 1

    def stamp(self, now: float) -> int:
        """Of a new probe: rises even when the clock has not."""
        self.last_sent_us = max(self.last_sent_us + 1, int(now * 1_000_000))
        return self.last_sent_us

    def report(self) -> PunchReport:
        probed = [
            ProbedEndpoint(each.endpoint, each.kind, each.sent, self.answers.get(each.endpoint))
            for each in self.targets.values()
        ]
        met_by_chance = [
            ProbedEndpoint(endpoint, CandidateKind.PEER_REFLEXIVE, 1, rtt_s)
            for endpoint, rtt_s in self.answers.items()
            if endpoint not in self.targets
        ]
        reported = sorted([*met_by_chance, *probed], key=lambda each: each.rtt_s is None)[:MAX_REPORTED]
        return PunchReport(self.started_at, self.own_nat, self.peer_nat, self.role, self.probes_sent, tuple(reported))

    def next_timeout(self) -> float:
        due = [target.due_at for target in self.targets.values()]
        due += [self.spray_due_at(), self.hold_due_at(), self.give_up_at]
        return min(at for at in due if at is not None)

    def _aims(self, candidate: Candidate, *, is_newest: bool) -> list[Endpoint]:
        is_translated = candidate.kind is CandidateKind.SERVER_REFLEXIVE and _is_ipv4(candidate)
        if not is_translated or self.role is not Role.PREDICT:
            return [candidate.endpoint]
        # Between two NATs that count, a probe to the port that is known would only use up one of ours.
        known = [] if self.own_nat.is_hard else [candidate.endpoint]
        return [*known, *(predicted(candidate.endpoint, self.peer_nat.step) if is_newest else [])]


def _is_ipv4(candidate: Candidate) -> bool:
    return candidate.endpoint.address.version == 4

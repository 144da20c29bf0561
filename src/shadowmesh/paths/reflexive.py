"""How the world sees our UDP port: asks STUN servers over it (RFC 8489). Spec: docs/spec/paths.md, section 3."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from shadowmesh.paths.classification import Observation
from shadowmesh.paths.events import ReflexiveChanged
from shadowmesh.wire import stun
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.open_ids import ID_BYTES, OpenIds
from shadowmesh.wire.transmit import Transmit

MAX_SERVERS = 8  # what the caller chose for both address families, bounded
# RFC 8489 §6.2.1 with RTO 500 ms doubles up to Rc = 7 requests and 39.5 s. We stop after four: by then a call that
# waits for the answer has gone out with what was known, and a refresh comes by itself.
_RETRANSMIT_OFFSETS_S = (0.0, 0.5, 1.5, 3.5)
_GIVE_UP_AFTER_S = 7.5
REFRESH_S = 25.0  # below the 30 s after which many NATs forget a mapping


class StunDrop(Enum):
    MALFORMED = "stun: malformed"
    UNASKED = "stun: answer to nothing"


@dataclass(slots=True)
class _Query:
    transaction_id: bytes
    started_at: float
    sent: int = 0

    @property
    def id(self) -> bytes:
        return self.transaction_id[:ID_BYTES]

    @property
    def due_at(self) -> float:
        return self.started_at + (*_RETRANSMIT_OFFSETS_S, _GIVE_UP_AFTER_S)[self.sent]


class ReflexiveDiscovery:
    """Knows our reflexive endpoints. After each call: drain `poll()`, then read `next_timeout()`."""

    def __init__(self, *, entropy: Entropy, ids: OpenIds, max_servers: int = MAX_SERVERS) -> None:
        self._entropy = entropy
        self._ids = ids
        self._max_servers = max_servers
        self._servers: tuple[Endpoint, ...] = ()
        self._queries: dict[Endpoint, _Query] = {}
        self._answers: dict[Endpoint, Observation] = {}
        self._asked_at: float | None = None
        self._keep_fresh = False
        self._out: deque[Transmit | ReflexiveChanged] = deque()
        self._drops: Counter[str] = Counter()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Distinct, in the order of the servers."""
        return tuple(dict.fromkeys(seen.mapped for seen in self.observations))

    @property
    def observations(self) -> tuple[Observation, ...]:
        """In the order in which the servers were asked."""
        return tuple(self._answers[server] for server in self._servers if server in self._answers)

    @property
    def servers(self) -> tuple[Endpoint, ...]:
        return self._servers

    @property
    def is_asking(self) -> bool:
        """Whether any server may still answer."""
        return bool(self._queries)

    def is_asking_over(self, version: int) -> bool:
        """Whether a server of this IP version may still answer."""
        return any(server.address.version == version for server in self._queries)

    def is_refreshing(self, version: int) -> bool:
        """Whether some answers are of an earlier round, and so perhaps of an earlier mapping, than others."""
        return any(server in self._answers and server.address.version == version for server in self._queries)

    def expects(self, source: Endpoint) -> bool:
        """Whether this server has been asked and has not answered yet."""
        return source in self._queries

    def set_servers(self, servers: Sequence[Endpoint], now: float) -> None:
        """Asks the first `max_servers` of them, when there are new ones among them."""
        chosen = tuple(dict.fromkeys(servers))[: self._max_servers]
        if chosen == self._servers:
            return
        before, known = self.endpoints, self._servers
        self._servers = chosen
        self._answers = {server: self._answers[server] for server in chosen if server in self._answers}
        self._expect({server: self._queries[server] for server in chosen if server in self._queries})
        self._report(before)
        if not set(chosen) <= set(known):
            self.ask(now)

    def ask(self, now: float) -> None:
        """All servers, however young their answers are."""
        if not self._servers:
            return
        self._asked_at = now
        self._expect({server: _Query(self._entropy(stun.TRANSACTION_ID_BYTES), now) for server in self._servers})
        self._advance(now)

    def refresh(self, now: float, *, max_age_s: float = REFRESH_S) -> None:
        """Asks unless the last questions are younger."""
        if self._asked_at is None or now >= self._asked_at + max_age_s:
            self.ask(now)

    def keep_fresh(self, needed: bool, now: float) -> None:
        """While needed, the mapping is used every 25 s, so that a NAT does not forget it."""
        self._keep_fresh = needed
        if needed:
            self.refresh(now)

    def network_changed(self, now: float) -> None:
        """Forgets what was seen through the old network, and asks again."""
        before = self.endpoints
        self._answers.clear()
        self._report(before)
        self.ask(now)

    def receive_datagram(self, data: bytes, source: Endpoint, now: float) -> None:
        try:
            message = stun.decode(data)
        except DecodeError:
            self._drops[StunDrop.MALFORMED.value] += 1
            return
        query = self._queries.get(source)
        if query is None or query.transaction_id != message.transaction_id or message.mapped is None:
            self._drops[StunDrop.UNASKED.value] += 1
            return
        self._ids.close(self._queries.pop(source).id)
        before = self.endpoints
        rtt_s = max(0.0, now - query.started_at) if query.sent == 1 else None
        self._answers[source] = Observation(source, message.mapped, now, rtt_s)
        self._report(before)
        self._advance(now)

    def handle_timeout(self, now: float) -> None:
        self._advance(now)

    def next_timeout(self) -> float | None:
        deadlines = [query.due_at for query in self._queries.values()]
        if self._keep_fresh and self._servers and self._asked_at is not None:
            deadlines.append(self._asked_at + REFRESH_S)
        return min(deadlines, default=None)

    def poll(self) -> Transmit | ReflexiveChanged | None:
        return self._out.popleft() if self._out else None

    @property
    def drops(self) -> Mapping[str, int]:
        return self._drops

    def _advance(self, now: float) -> None:
        if self._keep_fresh and self._asked_at is not None and now >= self._asked_at + REFRESH_S:
            self.ask(now)
            return
        for server, query in list(self._queries.items()):
            if now < query.due_at:
                continue
            if query.sent == len(_RETRANSMIT_OFFSETS_S):
                self._ids.close(self._queries.pop(server).id)
                continue
            query.started_at = now - _RETRANSMIT_OFFSETS_S[query.sent]  # when we are late, the rest comes later too
            query.sent += 1
            self._out.append(Transmit(stun.encode_binding_request(query.transaction_id), server, via=0))

    def _expect(self, queries: dict[Endpoint, _Query]) -> None:
        for query in queries.values():
            self._ids.open(query.id)
        for query in self._queries.values():
            self._ids.close(query.id)
        self._queries = queries

    def _report(self, before: tuple[Endpoint, ...]) -> None:
        if self.endpoints != before:
            self._out.append(ReflexiveChanged(self.endpoints))

"""The link to the backbone: log-in, renewal, fail-over, directory, publication. Spec: docs/spec/mesh.md, section 3.

One request of the four kinds that `backbone_failed` can answer is outstanding at a time, so that an answer
always has exactly one question.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from logging import INFO, WARNING

from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.updates import ClientMessage
from shadowmesh.mesh.backbone_order import BackboneOrder
from shadowmesh.mesh.backoff import Backoff
from shadowmesh.mesh.directory_trust import DirectoryTrust
from shadowmesh.mesh.link_events import DirectoryAccepted, LinkChanged, LinkEvent, RecordOutrun, UpdatesOpened
from shadowmesh.mesh.outputs import (
    FetchDirectory,
    LeaveBackbone,
    LogIn,
    Notice,
    OpenUpdates,
    PublishRecord,
    Renew,
    SendUpdate,
)
from shadowmesh.mesh.state import LinkState, LinkStatus, MeshConfig
from shadowmesh.mesh.stun_servers import choose_stun_servers
from shadowmesh.mesh.updates_link import UpdatesLink, UpdatesState
from shadowmesh.records.directory import BackboneNode
from shadowmesh.records.peer_record import SignedRecord
from shadowmesh.wire.clock import WallClock
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy, jitter

TOKEN_LIFETIME_S = 24 * 3600.0  # assumed when our wall clock makes nonsense of the token's expiry
MIN_LIFETIME_S = 60.0  # a token that lives shorter than this is renewed no more often
RENEW_FROM = (0.5, 0.6)  # of the lifetime
ROUND_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 240.0)  # after all nodes failed; with jitter up to 300
NEXT_NODE_DELAY_S = (0.05, 0.5)  # so that the clients of a dead node do not arrive at the next one all at once
MAX_RETRY_AFTER_S = 3600.0  # a node can't send us away for longer
RETRY_DELAYS_S = (5.0, 30.0, 120.0, 600.0)  # of a publication or directory that was refused
_LOG_IN_AGAIN = frozenset(
    {
        Problem.PUBLIC_KEY_NEEDED,
        Problem.TOKEN_MISSING,
        Problem.TOKEN_INVALID,
        Problem.TOKEN_EXPIRED,
        Problem.RENEWAL_OVER,
        Problem.PROOF_MISSING,
        Problem.PROOF_INVALID,
        Problem.PROOF_REPLAYED,
    }
)
_ASK_AGAIN = frozenset({Problem.PUBLIC_KEY_NEEDED, Problem.CHALLENGE_EXPIRED, Problem.CHALLENGE_REPLAYED})
_OUTRUN = frozenset({Problem.RECORD_STALE, Problem.RECORD_EQUIVOCATION})
_UNREACHABLE = frozenset({None, Problem.OVERLOADED, Problem.INTERNAL, Problem.TIMED_OUT})

LinkOutput = (
    LogIn | Renew | FetchDirectory | PublishRecord | OpenUpdates | SendUpdate | LeaveBackbone | Notice | LinkEvent
)


class _Request(Enum):
    LOG_IN = "log-in"
    RENEW = "renewal"
    DIRECTORY = "directory"
    PUBLISH = "publication"


@dataclass(slots=True)
class _Task:
    """Something to ask for when its time comes. None: not at all."""

    backoff: Backoff
    due_at: float | None = None


class BackboneLink:
    """After each call: drain `poll()`, then read `next_timeout()`."""

    def __init__(
        self, config: MeshConfig, directory: bytes, *, entropy: Entropy, wall_clock: WallClock, now: float
    ) -> None:
        self._entropy = entropy
        self._wall_clock = wall_clock
        self._order = BackboneOrder(config.backbones, config.region, entropy)
        self._directory = DirectoryTrust(config.backbones, directory)
        self._order.set_directory(self._directory.nodes)
        self._updates = UpdatesLink(entropy=entropy)
        self._updates_detail = ""
        self._round = Backoff(ROUND_DELAYS_S, entropy)
        self._tried = 0  # nodes since the last success
        self._asked_again = False
        self._outstanding: _Request | None = None
        self._state = LinkState.OFFLINE
        self._reason = "no log-in was tried yet"
        self._log_in_at: float | None = now
        self._log_in_sent_at = now
        self._login_s: float | None = None
        self._token_expires_at: int | None = None
        self._renewal = _Task(Backoff(RETRY_DELAYS_S, entropy))
        self._fetch = _Task(Backoff(RETRY_DELAYS_S, entropy))
        self._publication = _Task(Backoff(RETRY_DELAYS_S, entropy))
        self._record: SignedRecord | None = None
        self._stopped = False
        self._drops: dict[str, int] = {}
        self._out: deque[LinkOutput] = deque()
        if len(self._order) == 0:
            self._reason = "no backbone node is configured"
            self._log_in_at = None

    @property
    def online(self) -> bool:
        """Logged in: look-ups can be asked."""
        return self._state is LinkState.ONLINE

    @property
    def pending(self) -> bool:
        """The outcome of a log-in is still open: worth waiting for."""
        return self._state is LinkState.LOGGING_IN

    @property
    def updates_open(self) -> bool:
        """Calls can be made."""
        return self._updates.state is UpdatesState.OPEN

    @property
    def reason(self) -> str:
        return self._reason

    @property
    def directory(self) -> bytes:
        return self._directory.encoded

    @property
    def nodes(self) -> list[BackboneNode]:
        """Of the directory, the one that we use first."""
        current = self._order.current
        return sorted(
            self._directory.nodes, key=lambda node: current is None or node.fingerprint != current.fingerprint
        )

    @property
    def stun_servers(self) -> tuple[Endpoint, ...]:
        current = self._order.current
        return choose_stun_servers(self._directory.nodes, None if current is None else current.fingerprint)

    @property
    def state(self) -> LinkState:
        return self._state

    def status(self, reflexive: tuple[Endpoint, ...]) -> LinkStatus:
        node = self._order.current
        return LinkStatus(
            self._state,
            "" if node is None else node.url,
            None if node is None else node.fingerprint,
            self._token_expires_at if self.online else None,
            "" if self.online else self._reason,
            reflexive,
            self._login_s,
            len(self._order),
        )

    # Commands.

    def start(self, now: float) -> None:
        """Begins the first log-in."""
        self._advance(now)

    def publish(self, record: SignedRecord, now: float) -> None:
        """Our record is now this one: publish it here, and at each node that we log in to."""
        self._record = record
        self._publication.backoff.reset()
        if self.online:
            self._publication.due_at = now
        self._advance(now)

    def send(self, message: ClientMessage) -> bool:
        """False when live updates are not open."""
        if self.updates_open:
            self._out.append(SendUpdate(message))
        return self.updates_open

    def network_changed(self, now: float) -> None:
        """What hangs on the old network is given up, and what waited for a better moment is tried now."""
        self._round.reset()
        if self.online:
            self._updates.reopen(now)
            self._out.append(LinkChanged())
        elif self._log_in_at is not None:
            self._log_in_at = now
        self._advance(now)

    def stop(self) -> None:
        """Leaves for good."""
        self._stopped = True
        self._go_offline("stopped")
        self._log_in_at = None

    # Answers.

    def logged_in(self, token_expires_at: int, directory_version: int, now: float) -> None:
        if not self._answers(_Request.LOG_IN):
            return
        self._state = LinkState.ONLINE
        self._login_s = now - self._log_in_sent_at
        self._reason = ""
        self._tried = 0
        self._asked_again = False
        self._round.reset()
        self._token_received(token_expires_at, directory_version, now)
        self._publication.due_at = None if self._record is None else now
        self._updates.start(now)
        node = self._order.current
        self._notice(INFO, f"logged in at {node.url if node else '?'}")
        self._out.append(LinkChanged())
        self._advance(now)

    def renewed(self, token_expires_at: int, directory_version: int, now: float) -> None:
        if self._answers(_Request.RENEW):
            self._token_received(token_expires_at, directory_version, now)
            self._advance(now)

    def directory_announced(self, version: int, now: float) -> None:
        if self.online:
            self._fetch_if_newer(version, now)
            self._advance(now)

    def directory_received(self, encoded: bytes, now: float) -> None:
        if not self._answers(_Request.DIRECTORY):
            return
        self._fetch.due_at = None
        refusal = self._directory.receive(encoded, self._wall_clock())
        if refusal:
            self._notice(WARNING, f"the backbone's directory is not accepted: {refusal}")
        else:
            self._fetch.backoff.reset()
            self._order.set_directory(self._directory.nodes)
            if self._directory.directory is not None:
                self._out.append(DirectoryAccepted(self._directory.directory))
            current = self._order.current
            if current is not None and current.fingerprint not in self._order:
                self._fail_over(f"{current.url} is no longer in the directory", now)
        self._advance(now)

    def published(self, now: float) -> None:
        if self._answers(_Request.PUBLISH):
            self._publication.due_at = None
            self._publication.backoff.reset()
            self._advance(now)

    def publication_confirmed(self) -> None:
        """A look-up has shown that the backbone holds our present record."""
        self._publication.due_at = None

    def failed(self, problem: Problem | None, detail: str, retry_after_s: float | None, now: float) -> None:
        """Nothing outstanding: the shell noticed by itself, for instance in a look-up, that the token is refused."""
        request, self._outstanding = self._outstanding, None
        wait_s = None if retry_after_s is None else min(max(0.0, retry_after_s), MAX_RETRY_AFTER_S)
        if request is _Request.LOG_IN:
            self._log_in_failed(problem, detail, wait_s, now)
        elif not self.online:
            self._drop("link: answer to nothing")
        elif problem in _LOG_IN_AGAIN:
            self._log_in_again(detail, now)
        elif request is _Request.PUBLISH and problem in _OUTRUN:
            self._publication.due_at = now + self._publication.backoff.next_delay_s()
            self._out.append(RecordOutrun())
        elif problem in _UNREACHABLE and request is not None:
            self._postpone(wait_s, now)
            self._fail_over(detail, now)
        elif request is not None:
            self._refused(request, problem, detail, wait_s, now)
        self._advance(now)

    def updates_opened(self, now: float) -> None:
        if self.online and self._updates.opened(now):
            self._out.append(UpdatesOpened())
        else:
            self._drop("link: answer to nothing")
        self._advance(now)

    def updates_closed(self, detail: str, now: float) -> None:
        was_open = self.updates_open
        self._updates.closed(now)
        if was_open:
            self._out.append(LinkChanged())
        self._updates_detail = detail
        self._advance(now)

    def handle_timeout(self, now: float) -> None:
        self._updates.handle_timeout(now)
        self._advance(now)

    def next_timeout(self) -> float | None:
        deadlines = [self._updates.next_timeout()]
        if self._outstanding is None:
            deadlines.append(self._log_in_at)
            deadlines += [task.due_at for task in self._tasks().values()]
        return min((at for at in deadlines if at is not None), default=None)

    def poll(self) -> LinkOutput | None:
        return self._out.popleft() if self._out else None

    @property
    def drops(self) -> Mapping[str, int]:
        return self._drops

    def _tasks(self) -> dict[_Request, _Task]:
        """In the order of importance."""
        if not self.online:
            return {}
        return {
            _Request.RENEW: self._renewal,
            _Request.DIRECTORY: self._fetch,
            _Request.PUBLISH: self._publication,
        }

    def _advance(self, now: float) -> None:
        if self._outstanding is None and not self._stopped:
            if self.online and self._updates.exhausted:
                self._fail_over(f"live updates can't be opened: {self._updates_detail}", now)
            if self._log_in_at is not None and now >= self._log_in_at:
                self._log_in(now)
            else:
                self._ask_due(now)
        while (output := self._updates.poll()) is not None:
            self._out.append(output)

    def _ask_due(self, now: float) -> None:
        for request, task in self._tasks().items():
            if task.due_at is None or now < task.due_at:
                continue
            self._outstanding = request
            match request:
                case _Request.RENEW:
                    self._out.append(Renew())
                case _Request.DIRECTORY:
                    self._out.append(FetchDirectory())
                case _Request.PUBLISH if self._record is not None:
                    self._out.append(PublishRecord(self._record))
            return

    def _log_in(self, now: float) -> None:
        node = self._order.current if self._asked_again else self._order.take_next(now)
        if node is None:
            self._log_in_at = self._order.available_at(now)
            return
        self._log_in_at = None
        self._outstanding = _Request.LOG_IN
        self._state = LinkState.LOGGING_IN
        self._log_in_sent_at = now
        self._out.append(LogIn(node.url, node.fingerprint))

    def _log_in_failed(self, problem: Problem | None, detail: str, wait_s: float | None, now: float) -> None:
        self._state = LinkState.OFFLINE
        node = self._order.current
        self._reason = f"{node.url if node else 'the backbone'}: {detail or 'not reached'}"
        if problem in _ASK_AGAIN and not self._asked_again:
            self._asked_again = True  # once; the shell knows now what was missing
            self._log_in_at = now
            return
        self._asked_again = False
        self._postpone(wait_s, now)
        self._schedule_log_in(now)
        self._out.append(LinkChanged())

    def _log_in_again(self, detail: str, now: float) -> None:
        """At the same node: it is there, but the token has come to its end."""
        self._go_offline(detail)
        self._asked_again = True
        self._log_in_at = now + self._round.next_delay_s()

    def _fail_over(self, detail: str, now: float) -> None:
        node = self._order.current
        reason = f"{node.url if node else 'the backbone'}: {detail or 'not reached'}"
        self._notice(WARNING, f"the backbone link is lost: {reason}")
        self._go_offline(reason)
        self._schedule_log_in(now)

    def _go_offline(self, reason: str) -> None:
        self._state = LinkState.OFFLINE
        self._reason = reason
        self._outstanding = None
        self._updates.stop()
        self._out.append(LeaveBackbone())
        self._out.append(LinkChanged())
        for task in (self._renewal, self._fetch, self._publication):
            task.due_at = None

    def _schedule_log_in(self, now: float) -> None:
        """The next node soon, and longer pauses after each round in which all of them failed."""
        self._tried += 1
        if self._tried % max(1, len(self._order)) == 0:
            delay_s = self._round.next_delay_s()
        else:
            delay_s = jitter(self._entropy, *NEXT_NODE_DELAY_S)
        self._log_in_at = now + delay_s

    def _postpone(self, wait_s: float | None, now: float) -> None:
        if wait_s is not None and self._order.current is not None:
            self._order.postpone(self._order.current.fingerprint, now + wait_s)

    def _token_received(self, expires_at: int, directory_version: int, now: float) -> None:
        self._token_expires_at = expires_at
        left_s = expires_at - self._wall_clock()
        lifetime_s = left_s if 0 < left_s <= TOKEN_LIFETIME_S else TOKEN_LIFETIME_S
        self._renewal.due_at = now + max(MIN_LIFETIME_S, lifetime_s) * jitter(self._entropy, *RENEW_FROM)
        self._renewal.backoff.reset()
        self._fetch_if_newer(directory_version, now)

    def _fetch_if_newer(self, version: int, now: float) -> None:
        if version > self._directory.version:
            self._fetch.due_at = now

    def _refused(
        self, request: _Request, problem: Problem | None, detail: str, wait_s: float | None, now: float
    ) -> None:
        """The node is there and says no: ask it again later."""
        task = self._tasks()[request]
        task.due_at = now + max(wait_s or 0.0, task.backoff.next_delay_s())
        title = detail or (problem.title if problem else "refused")
        self._notice(WARNING, f"the backbone refuses the {request.value}: {title}")

    def _answers(self, request: _Request) -> bool:
        if self._outstanding is not request:
            self._drop("link: answer to nothing")
            return False
        self._outstanding = None
        return True

    def _drop(self, reason: str) -> None:
        self._drops[reason] = self._drops.get(reason, 0) + 1

    def _notice(self, level: int, text: str) -> None:
        self._out.append(Notice(level, text))

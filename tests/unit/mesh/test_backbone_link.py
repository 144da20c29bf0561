from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sim.chance import SeededEntropy
from tests.sim.world import WALL_START, identity_number
from tests.unit.mesh.records import record_of

from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.updates import Subscribe
from shadowmesh.identity.keys import Identity
from shadowmesh.mesh.backbone_link import MAX_RETRY_AFTER_S, BackboneLink, LinkOutput
from shadowmesh.mesh.link_events import DirectoryAccepted, LinkChanged, RecordOutrun, UpdatesOpened
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
from shadowmesh.mesh.state import BackbonePin, LinkState, MeshConfig
from shadowmesh.records.directory import BackboneNode, Directory
from shadowmesh.wire.endpoint import Endpoint

A, B = identity_number(6000), identity_number(6001)
PIN_A, PIN_B = BackbonePin("https://a.example", A.fingerprint), BackbonePin("https://b.example", B.fingerprint)
LOG_IN_A, LOG_IN_B = LogIn(PIN_A.url, PIN_A.fingerprint), LogIn(PIN_B.url, PIN_B.fingerprint)
RECORD = record_of(1)
DAY_S = 86400
NODES = (
    BackboneNode(A.public, 0, PIN_A.url, (Endpoint.of("198.19.0.1", 3478), Endpoint.of("198.19.0.1", 3479))),
    BackboneNode(B.public, 0, PIN_B.url, (Endpoint.of("198.19.0.2", 3478),)),
)


def directory(version: int, nodes: tuple[BackboneNode, ...], *signers: Identity) -> bytes:
    return Directory(version, int(WALL_START), int(WALL_START) + DAY_S, nodes).sign(*signers).encoded


DIRECTORY = directory(1, NODES, A, B)
REQUESTS = (LogIn, Renew, FetchDirectory, PublishRecord)


def test_the_first_pin_is_asked_first() -> None:
    link = made()
    assert drained(link) == [LOG_IN_A]
    assert link.status(()).state is LinkState.LOGGING_IN
    assert link.pending


def test_after_the_log_in_updates_are_opened_the_directory_fetched_and_then_the_record_published() -> None:
    link = made()
    link.publish(RECORD, 0.0)
    drained(link)
    link.logged_in(expiry(), 1, 0.0)
    assert requests(link) == [FetchDirectory(), OpenUpdates()]
    link.directory_received(DIRECTORY, 0.0)
    assert requests(link) == [PublishRecord(RECORD)]
    link.published(0.0)
    assert requests(link) == []
    assert link.directory == DIRECTORY


def test_the_directory_that_is_known_is_not_fetched_again() -> None:
    link = made(directory=DIRECTORY)
    drained(link)
    link.logged_in(expiry(), 1, 0.0)
    assert requests(link) == [OpenUpdates()]


def test_a_directory_that_is_not_believed_is_told_and_the_link_goes_on() -> None:
    link = made()
    link.logged_in(expiry(), 5, 0.0)
    drained(link)
    link.directory_received(b"rubbish", 0.0)
    (notice,) = drained(link)
    assert isinstance(notice, Notice)
    assert "not accepted" in notice.text
    assert link.online


def test_the_token_is_renewed_between_half_and_six_tenths_of_its_life() -> None:
    link = online()
    due_at = link.next_timeout()
    assert due_at is not None
    assert 0.5 * DAY_S <= due_at <= 0.6 * DAY_S
    link.handle_timeout(due_at - 1)
    assert requests(link) == []
    link.handle_timeout(due_at)
    assert requests(link) == [Renew()]


@pytest.mark.parametrize("expires_at", [0, 2**39])
def test_a_wall_clock_that_makes_nonsense_of_the_expiry_still_renews_in_time(expires_at: int) -> None:
    link = made()
    link.logged_in(expires_at, 0, 0.0)
    drained(link)
    due_at = link.next_timeout()
    assert due_at is not None
    assert 0.5 * DAY_S <= due_at <= 0.6 * DAY_S


@pytest.mark.parametrize(
    "problem", [Problem.RENEWAL_OVER, Problem.TOKEN_EXPIRED, Problem.TOKEN_INVALID, Problem.PUBLIC_KEY_NEEDED]
)
def test_a_token_that_is_refused_leads_to_a_log_in_at_the_same_node(problem: Problem) -> None:
    link = online()
    renew(link)
    link.failed(problem, problem.title, None, DAY_S)
    assert requests(link) == [LeaveBackbone()]
    run(link, DAY_S + 2)
    assert requests(link) == [LOG_IN_A]


def test_the_shell_may_find_out_by_itself_that_the_token_is_refused() -> None:
    link = online()
    link.failed(Problem.TOKEN_EXPIRED, "in a look-up", None, 5.0)
    run(link, 7.0)
    assert requests(link) == [LeaveBackbone(), LOG_IN_A]


def test_a_public_key_that_is_missing_at_the_log_in_is_sent_at_once_but_only_once() -> None:
    link = made()
    drained(link)
    link.failed(Problem.PUBLIC_KEY_NEEDED, "", None, 0.0)
    assert requests(link) == [LOG_IN_A]
    link.failed(Problem.PUBLIC_KEY_NEEDED, "", None, 0.0)
    assert requests(link) == []
    run(link, 1.0)
    assert requests(link) == [LOG_IN_B]


def test_a_node_that_is_not_reached_gives_way_to_the_next_soon() -> None:
    link = made()
    drained(link)
    link.failed(None, "connection refused", None, 0.0)
    assert "connection refused" in link.reason
    run(link, 0.6)
    assert requests(link) == [LOG_IN_B]


def test_the_pauses_grow_to_five_minutes_while_nobody_answers() -> None:
    link = made()
    now, asked_at = 0.0, []
    for _ in range(40):
        assert len([output for output in drained(link) if isinstance(output, LogIn)]) == 1
        asked_at.append(now)
        link.failed(None, "", None, now)
        now = link.next_timeout() or 0.0
        link.handle_timeout(now)
    rounds = [later - earlier for earlier, later in zip(asked_at[::2], asked_at[2::2], strict=False)]
    assert rounds[0] < 3
    assert all(240 <= pause <= 301 for pause in rounds[9:])


def test_retry_after_is_honoured_and_bounded() -> None:
    link = made(pins=(PIN_A,))
    drained(link)
    link.failed(Problem.RATE_LIMITED, "", 100.0, 0.0)
    run(link, 99.0)
    assert requests(link) == []
    run(link, 101.0)
    assert requests(link) == [LOG_IN_A]
    link.failed(Problem.RATE_LIMITED, "", 1e9, 101.0)
    run(link, 102.0 + MAX_RETRY_AFTER_S)
    assert requests(link) == [LOG_IN_A]


def test_while_one_node_asks_for_patience_the_other_is_asked() -> None:
    link = made()
    drained(link)
    link.failed(Problem.OVERLOADED, "", 1000.0, 0.0)
    run(link, 1.0)
    assert requests(link) == [LOG_IN_B]


def test_a_node_that_is_lost_during_a_request_is_left_for_the_next() -> None:
    link = online()
    renew(link)
    link.failed(None, "timed out", None, DAY_S)
    outputs = drained(link)
    assert LeaveBackbone() in outputs
    assert LinkChanged() in outputs
    assert not link.online
    run(link, DAY_S + 1)
    assert requests(link) == [LOG_IN_B]


def test_a_stale_record_is_told_and_published_again_unless_the_backbone_has_it() -> None:
    link = online(record=True)
    link.failed(Problem.RECORD_STALE, "", None, 0.0)
    assert RecordOutrun() in drained(link)
    link.publication_confirmed()
    run(link, 1000.0)
    assert requests(link) == []


def test_a_refused_record_is_tried_again_later() -> None:
    link = online(record=True)
    link.failed(Problem.RECORD_FROM_THE_FUTURE, "check the clock", None, 0.0)
    (notice,) = drained(link)
    assert isinstance(notice, Notice)
    assert "check the clock" in notice.text
    run(link, 7.0)
    assert requests(link) == [PublishRecord(RECORD)]


def test_the_record_is_published_at_each_node_that_is_logged_in_to() -> None:
    link = online(record=True)
    link.published(0.0)
    link.failed(Problem.TOKEN_EXPIRED, "", None, 1.0)
    run(link, 3.0)
    drained(link)
    link.logged_in(expiry(), 0, 3.0)
    assert PublishRecord(RECORD) in requests(link)


def test_opened_updates_carry_messages() -> None:
    link = online()
    assert not link.send(Subscribe(peers=[]))
    link.updates_opened(1.0)
    assert drained(link) == [UpdatesOpened()]
    assert link.updates_open
    assert link.send(Subscribe(peers=[]))
    assert drained(link) == [SendUpdate(Subscribe(peers=[]))]


def test_updates_that_never_open_make_the_node_be_left() -> None:
    link = online()
    for _ in range(4):
        link.updates_closed("refused", 1.0)
        link.handle_timeout(min(link.next_timeout() or 0.0, 100.0))
    assert not link.online
    assert "refused" in link.reason


def test_a_request_that_is_outstanding_is_waited_for_before_the_node_is_left() -> None:
    link = online(record=True)
    for now in (0.0, 10.0, 20.0, 30.0):
        link.updates_closed("refused", now)
        link.handle_timeout(now + 9.0)
    assert link.online
    link.published(40.0)
    assert not link.online


def test_a_node_that_is_no_longer_in_the_directory_is_left() -> None:
    third = identity_number(6002)
    nodes = (*NODES, BackboneNode(third.public, 0, "https://c.example", ()))
    link = made(pins=(), directory=directory(1, nodes, A))
    (asked,) = drained(link)
    assert isinstance(asked, LogIn)
    rest = tuple(node for node in nodes if node.url != asked.url)
    signers = [identity for identity in (A, B, third) if identity.fingerprint != asked.fingerprint]
    link.logged_in(expiry(), 2, 0.0)
    drained(link)
    link.directory_received(directory(2, rest, *signers), 0.0)
    outputs = drained(link)
    assert any(isinstance(output, DirectoryAccepted) for output in outputs)
    assert LeaveBackbone() in outputs
    run(link, 1.0)
    (next_asked,) = requests(link)
    assert isinstance(next_asked, LogIn)
    assert next_asked.url in {node.url for node in rest}


def test_on_a_changed_network_updates_are_opened_anew_and_calls_wait_for_them() -> None:
    link = online()
    drained(link)
    link.network_changed(10.0)
    assert OpenUpdates() in drained(link)
    assert not link.updates_open
    link.updates_opened(10.1)
    assert link.updates_open


def test_on_a_changed_network_a_log_in_does_not_wait_for_its_time() -> None:
    link = made(pins=(PIN_A,))
    link.start(0.0)
    link.failed(None, "not reached", None, 1.0)
    drained(link)
    link.network_changed(1.1)
    assert [type(request) for request in requests(link)] == [LogIn]


def test_stun_servers_are_those_of_the_present_node_first() -> None:
    link = made(pins=(PIN_B,), directory=DIRECTORY)
    assert link.stun_servers == (*NODES[1].stun, *NODES[0].stun)


def test_without_any_node_the_link_stays_offline_and_quiet() -> None:
    link = made(pins=())
    assert drained(link) == []
    assert link.next_timeout() is None
    assert link.reason == "no backbone node is configured"


def test_a_stopped_link_leaves_and_does_nothing_more() -> None:
    link = online()
    link.stop()
    assert LeaveBackbone() in drained(link)
    link.handle_timeout(1e6)
    assert drained(link) == []
    assert link.next_timeout() is None


def test_answers_to_nothing_are_counted() -> None:
    link = online()
    link.renewed(expiry(), 0, 1.0)
    link.published(1.0)
    link.directory_received(DIRECTORY, 1.0)
    link.logged_in(expiry(), 0, 1.0)
    assert link.drops == {"link: answer to nothing": 4}


ANSWERS: list[tuple[str, tuple[Any, ...]]] = [
    ("logged_in", (int(WALL_START) + DAY_S, 1)),
    ("renewed", (int(WALL_START) + DAY_S, 2)),
    ("directory_received", (DIRECTORY,)),
    ("directory_received", (b"\xa0",)),
    ("published", ()),
    ("updates_opened", ()),
    ("updates_closed", ("gone",)),
    ("publish", (RECORD,)),
    *(("failed", (problem, "", after)) for problem in (None, *Problem) for after in (None, 0.0, 30.0)),
]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.tuples(st.sampled_from(ANSWERS), st.floats(0, 4000)), max_size=60))
def test_whatever_comes_nothing_is_raised_and_the_link_never_spins(
    seed: int, events: list[tuple[tuple[str, tuple[Any, ...]], float]]
) -> None:
    link = made(seed=seed)
    drained(link)
    now = 0.0
    for (name, arguments), wait_s in events:
        now += wait_s
        link.handle_timeout(now)
        due_at = link.next_timeout()
        assert due_at is None or due_at > now
        drained(link)
        getattr(link, name)(*arguments, now)
        outputs = drained(link)
        assert len(outputs) <= 10
        assert sum(isinstance(output, REQUESTS) for output in outputs) <= 1
    assert link.status(()).state in LinkState


def made(*, pins: tuple[BackbonePin, ...] = (PIN_A, PIN_B), directory: bytes = b"", seed: int = 1) -> BackboneLink:
    config = MeshConfig(backbones=pins)
    link = BackboneLink(config, directory, entropy=SeededEntropy(seed), wall_clock=lambda: WALL_START, now=0.0)
    link.start(0.0)
    return link


def online(*, record: bool = False) -> BackboneLink:
    """Logged in at A at 0.0; the record is being published when there is one."""
    link = made()
    if record:
        link.publish(RECORD, 0.0)
    link.logged_in(expiry(), 0, 0.0)
    drained(link)
    return link


def expiry() -> int:
    return int(WALL_START) + DAY_S


def renew(link: BackboneLink) -> None:
    """A renewal is outstanding since less than a day."""
    run(link, DAY_S * 0.7)
    assert Renew() in drained(link)


def run(link: BackboneLink, until: float) -> None:
    while (at := link.next_timeout()) is not None and at <= until:
        link.handle_timeout(at)


def drained(link: BackboneLink) -> list[LinkOutput]:
    outputs: list[LinkOutput] = []
    while (output := link.poll()) is not None:
        outputs.append(output)
    return outputs


def requests(link: BackboneLink) -> list[LinkOutput]:
    """Without events and notices."""
    return [output for output in drained(link) if isinstance(output, (*REQUESTS, OpenUpdates, LeaveBackbone))]

from __future__ import annotations

from dataclasses import dataclass

import pytest
from tests.sim.world import identity_number

from shadowmesh.mesh.own_record import MIN_CHANGE_INTERVAL_S, OwnRecord
from shadowmesh.mesh.state import MeshConfig
from shadowmesh.records.peer_record import (
    DEFAULT_TTL_PRIVATE_S,
    DEFAULT_TTL_PUBLIC_S,
    MAX_ENDPOINTS,
    REVOKED_SEQUENCE,
    Mode,
)
from shadowmesh.wire.endpoint import Endpoint

IDENTITY = identity_number(4000)
WALL = 1_800_000_000.0
OUTSIDE = [Endpoint.of("203.0.113.5", port) for port in range(1, 8)]


def test_the_record_is_signed_and_says_what_was_configured() -> None:
    own = made(config=MeshConfig(mode=Mode.PRIVATE, region=3, capabilities=5))
    own.record.accept(IDENTITY.peer_id, now=WALL)
    payload = own.record.record
    assert (payload.region, payload.capabilities, payload.ttl_s) == (3, 5, DEFAULT_TTL_PRIVATE_S)
    assert payload.wireguard_key == own.wireguard_key != own.wireguard_private_key


def test_the_sequence_number_is_the_time_in_milliseconds() -> None:
    assert made().sequence == int(WALL) * 1000


def test_a_sequence_number_is_never_used_again_although_the_clock_went_back() -> None:
    assert made(saved=5 * 10**12).sequence == 5 * 10**12 + 1


def test_a_renewal_outdoes_what_somebody_else_holds() -> None:
    own = made()
    own.renew(1.0, above=7 * 10**12)
    assert own.sequence == own.record.record.sequence == 7 * 10**12 + 1


def test_a_revoked_identity_signs_no_record() -> None:
    own = made()
    with pytest.raises(ValueError, match="revoked"):
        own.renew(1.0, above=REVOKED_SEQUENCE)
    assert own.next_timeout() > 1.0


def test_a_private_node_publishes_no_address() -> None:
    own = made()
    own.set_endpoints(OUTSIDE)
    assert not own.is_due(1000.0)
    assert own.publishable == ()
    assert own.renew(1.0).record.endpoints == ()


def test_a_public_node_publishes_four_addresses_as_soon_as_it_knows_them() -> None:
    own = made(config=MeshConfig(mode=Mode.PUBLIC))
    own.set_endpoints(OUTSIDE)
    assert own.is_due(0.0)
    assert own.renew(0.0).record.endpoints == tuple(OUTSIDE[:MAX_ENDPOINTS])
    assert own.record.record.ttl_s == DEFAULT_TTL_PUBLIC_S
    assert not own.is_due(0.0)


def test_changed_addresses_are_published_at_most_once_a_minute() -> None:
    own = made(config=MeshConfig(mode=Mode.PUBLIC))
    own.set_endpoints(OUTSIDE[:1])
    own.renew(0.0)
    own.set_endpoints(OUTSIDE[1:2])
    assert not own.is_due(MIN_CHANGE_INTERVAL_S - 1)
    assert own.next_timeout() == MIN_CHANGE_INTERVAL_S
    assert own.is_due(MIN_CHANGE_INTERVAL_S)


@pytest.mark.parametrize("home", ["192.168.1.2", "10.1.2.3", "172.20.0.1", "fd00::1", "127.0.0.1"])
def test_home_addresses_are_published_only_when_there_is_nothing_better(home: str) -> None:
    own = made(config=MeshConfig(mode=Mode.PUBLIC))
    at_home = Endpoint.of(home, 41641)
    own.set_endpoints([at_home, OUTSIDE[0]])
    assert own.publishable == (OUTSIDE[0],)
    own.set_endpoints([at_home, Endpoint.of("fe80::1", 1)])
    assert own.publishable == (at_home,)


def test_half_of_its_life_is_when_the_next_record_is_due() -> None:
    own = made()
    assert own.next_timeout() == DEFAULT_TTL_PRIVATE_S / 2
    assert not own.is_due(DEFAULT_TTL_PRIVATE_S / 2 - 1)
    assert own.is_due(DEFAULT_TTL_PRIVATE_S / 2)


@pytest.mark.parametrize("jump_s", [-1e8, 1e8])
def test_a_clock_that_was_set_makes_a_new_record_due(jump_s: float) -> None:
    clock = Clock()
    own = made(clock=clock)
    clock.wall += jump_s
    assert own.is_due(MIN_CHANGE_INTERVAL_S)
    own.renew(MIN_CHANGE_INTERVAL_S)
    assert not own.is_due(2 * MIN_CHANGE_INTERVAL_S)


@pytest.mark.parametrize("wall", [-5.0, 0.0, 1e20])
def test_a_nonsensical_clock_still_gives_a_legal_record(wall: float) -> None:
    assert made(clock=Clock(wall)).record.peer_id == IDENTITY.peer_id


@dataclass
class Clock:
    wall: float = WALL

    def __call__(self) -> float:
        return self.wall


def made(*, config: MeshConfig | None = None, saved: int = 0, clock: Clock | None = None) -> OwnRecord:
    return OwnRecord(IDENTITY, config or MeshConfig(), saved, wall_clock=clock or Clock(), now=0.0)

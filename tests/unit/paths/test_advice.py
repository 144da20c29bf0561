from __future__ import annotations

from ipaddress import ip_address

import pytest

from shadowmesh.paths.advice import PEER_GROUPS, Outcome, Side, advise, advise_pair, nat_in_words, outcome
from shadowmesh.paths.nat_behaviour import Filtering, Mapping, NatBehaviour, PortRange
from shadowmesh.paths.port_mapping.status import Gateway, MappingState, MappingStatus

STRICT = Filtering.ADDRESS_AND_PORT_DEPENDENT
HOME = Side(NatBehaviour(Mapping.ENDPOINT_INDEPENDENT, STRICT), udp=True)
LENIENT = Side(NatBehaviour(Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT), udp=True)
COUNTING = Side(NatBehaviour(Mapping.ADDRESS_AND_PORT_DEPENDENT, STRICT, step=1), udp=True)
RANDOM = Side(NatBehaviour(Mapping.ADDRESS_AND_PORT_DEPENDENT, STRICT), udp=True)
OPEN = Side(RANDOM.nat, has_open_port=True, udp=True)
BLOCKED = Side(udp=False)
GATEWAY = Gateway(ip_address("192.168.1.1"), ip_address("192.168.1.7"))


@pytest.mark.parametrize(
    ("own", "peer", "expected"),
    [
        (HOME, HOME, Outcome.DIRECT),
        (HOME, COUNTING, Outcome.FORETOLD),
        (HOME, RANDOM, Outcome.BY_TRYING),
        (LENIENT, RANDOM, Outcome.DIRECT),
        (COUNTING, COUNTING, Outcome.FORETOLD),
        (COUNTING, RANDOM, Outcome.NEVER),
        (RANDOM, RANDOM, Outcome.NEVER),
        (OPEN, RANDOM, Outcome.DIRECT),
        (BLOCKED, OPEN, Outcome.NEVER),
    ],
)
def test_how_two_networks_come_together_is_the_same_from_both_sides(own: Side, peer: Side, expected: Outcome) -> None:
    assert (outcome(own, peer), outcome(peer, own)) == (expected, expected)


def test_a_nat_in_words() -> None:
    assert nat_in_words(HOME.nat) == (
        "one outside port for all destinations, lets in only the very port that we have sent to"
    )
    assert "in steps of 1" in nat_in_words(COUNTING.nat)
    block = NatBehaviour(Mapping.ADDRESS_AND_PORT_DEPENDENT, block=PortRange(2000, 3000))
    assert nat_in_words(block).endswith("at random between 2000 and 3000")
    assert nat_in_words(NatBehaviour()) == "not known yet"


def test_who_reaches_everybody_needs_no_advice() -> None:
    assert all(outcome(OPEN, group.side) is Outcome.DIRECT for group in PEER_GROUPS)
    assert advise(OPEN, (), 41641, has_ipv6=False) == ()


def test_a_port_opened_at_the_router_helps_a_strict_nat() -> None:
    first, second = advise(RANDOM, (), 41641, has_ipv6=False)
    assert first == "turn on UPnP, NAT-PMP or PCP in the router, or forward UDP port 41641 to this machine"
    assert "IPv6" in second
    assert advise(RANDOM, (), 41641, has_ipv6=True) == (first,)


def test_behind_two_nats_the_outer_one_is_named() -> None:
    mapping = MappingStatus(GATEWAY, MappingState.DOUBLE_NAT)
    assert "another NAT is in front of it" in advise(RANDOM, (mapping,), 41641, has_ipv6=True)[0]


def test_where_no_udp_passes_that_comes_first() -> None:
    assert "lets no UDP out" in advise(BLOCKED, (), 5, has_ipv6=False)[0]
    assert "UDP port 5 of this machine" in advise_pair(BLOCKED, HOME, (), 5)[0]


def test_what_nobody_has_measured_is_no_ground_for_changing_the_router() -> None:
    (line,) = advise(Side(), (), 41641, has_ipv6=False)
    assert "router" not in line


def test_a_pair_that_should_come_together_gets_no_advice_for_its_routers() -> None:
    assert advise_pair(HOME, HOME, (), 41641) == ()
    assert advise_pair(HOME, COUNTING, (), 41641) == ()


def test_of_two_hard_nats_either_may_be_opened() -> None:
    own, peer, ipv6 = advise_pair(RANDOM, COUNTING, (), 41641)
    assert own.startswith("turn on UPnP")
    assert "in steps of 1" in peer
    assert "IPv6" in ipv6

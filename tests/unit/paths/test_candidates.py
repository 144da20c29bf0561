import pytest

from shadowmesh.identity.names import OVERLAY_NETWORK, PeerID
from shadowmesh.paths.candidates import MAX_CANDIDATES, KnownEndpoints, is_usable, order_candidates
from shadowmesh.wire.endpoint import Endpoint

OWN = (Endpoint.of("192.168.1.2", 41641), Endpoint.of("2001:db8:1::2", 41641))


def test_the_last_endpoint_comes_first_then_our_own_subnet_then_the_freshest() -> None:
    last, near = at("203.0.113.1"), at("192.168.1.77")
    known = KnownEndpoints(
        last, call=(at("203.0.113.9"), near), hints=(at("203.0.113.8"),), record=(at("203.0.113.7"),)
    )
    assert order(known) == (last, near, at("203.0.113.9"), at("203.0.113.8"), at("203.0.113.7"))


def test_an_endpoint_known_from_several_sources_is_tried_once() -> None:
    same = at("203.0.113.1")
    assert order(KnownEndpoints(same, (same,), (same,), (same,))) == (same,)


def test_an_ipv6_neighbour_shares_a_64_bit_prefix() -> None:
    far, near = at("2001:db8:2::9"), at("2001:db8:1::9")
    assert order(KnownEndpoints(call=(far, near))) == (near, far)


def test_there_are_at_most_eight() -> None:
    many = tuple(at(f"203.0.113.{number}") for number in range(1, 20))
    assert len(order(KnownEndpoints(call=many))) == MAX_CANDIDATES == 8


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "172.16.0.1", "192.168.0.1", "198.18.0.1", "2001:db8::1", "fd00::1", "100.64.0.1"]
)
def test_private_and_test_networks_are_usable(address: str) -> None:
    assert usable(address)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "fe80::1", "127.0.0.1", "::1"]
)
def test_what_leads_to_no_single_peer_is_not_usable(address: str) -> None:
    assert not usable(address)


def test_an_overlay_address_is_not_usable() -> None:
    assert not usable(str(PeerID(bytes(20)).overlay_address))


def test_our_own_endpoint_is_not_usable() -> None:
    assert not is_usable(OWN[0], OWN, OVERLAY_NETWORK)
    assert is_usable(Endpoint(OWN[0].address, 5000), OWN, OVERLAY_NETWORK)


def test_loopback_is_usable_for_a_node_on_loopback() -> None:
    own = [Endpoint.of("127.0.0.1", 1)]
    assert is_usable(Endpoint.of("127.0.0.1", 2), own, OVERLAY_NETWORK)


def order(known: KnownEndpoints) -> tuple[Endpoint, ...]:
    return order_candidates(known, OWN, OVERLAY_NETWORK)


def usable(address: str) -> bool:
    return is_usable(at(address), OWN, OVERLAY_NETWORK)


def at(address: str) -> Endpoint:
    return Endpoint.of(address, 41641)

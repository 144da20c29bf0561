import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.identity.names import OVERLAY_NETWORK, PeerID
from shadowmesh.paths.candidates import (
    CANDIDATE_BYTES,
    MAX_CANDIDATES,
    Candidate,
    CandidateKind,
    KnownEndpoints,
    is_usable,
    order_candidates,
)
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError

VECTORS = json.loads(Path("docs/spec/vectors/punching.json").read_text())
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


def test_what_was_encoded_is_decoded() -> None:
    for candidate in (Candidate(CandidateKind.HOST, OWN[0]), Candidate(CandidateKind.MAPPED, OWN[1])):
        assert len(candidate.encode()) == CANDIDATE_BYTES == 19
        assert Candidate.decode(candidate.encode()) == candidate


@given(st.binary(max_size=25))
def test_random_bytes_are_refused_or_encoded_again(data: bytes) -> None:
    try:
        candidate = Candidate.decode(data)
    except DecodeError:
        return
    assert candidate.encode() == data


@pytest.mark.parametrize("length", [*range(CANDIDATE_BYTES), CANDIDATE_BYTES + 1])
def test_another_length_is_refused(length: int) -> None:
    with pytest.raises(DecodeError):
        Candidate.decode((Candidate(CandidateKind.HOST, OWN[0]).encode() + b"\0")[:length])


@pytest.mark.parametrize("vector", VECTORS["candidates"], ids=lambda vector: vector["candidate"])
def test_good_vectors(vector: dict[str, Any]) -> None:
    candidate = Candidate(CandidateKind(vector["kind"]), Endpoint.parse(vector["endpoint"]))
    assert candidate.encode() == bytes.fromhex(vector["candidate"])
    assert Candidate.decode(candidate.encode()) == candidate


@pytest.mark.parametrize("vector", VECTORS["candidates_refused"], ids=lambda vector: vector["name"])
def test_refused_vectors(vector: dict[str, str]) -> None:
    with pytest.raises(DecodeError):
        Candidate.decode(bytes.fromhex(vector["candidate"]))


def order(known: KnownEndpoints) -> tuple[Endpoint, ...]:
    return order_candidates(known, OWN, OVERLAY_NETWORK)


def usable(address: str) -> bool:
    return is_usable(at(address), OWN, OVERLAY_NETWORK)


def at(address: str) -> Endpoint:
    return Endpoint.of(address, 41641)

import pytest

from shadowmesh.paths.candidates import Candidate, CandidateKind
from shadowmesh.paths.nat_behaviour import Mapping
from shadowmesh.paths.path_kind import PathKind, path_kind
from shadowmesh.wire.endpoint import Endpoint

OWN = [Endpoint.parse("192.168.1.2:41641"), Endpoint.parse("[2001:db8::2]:41641")]
FAR = Endpoint.parse("198.51.100.7:41641")
AS_HOST = (Candidate(CandidateKind.HOST, FAR),)
AS_SEEN = (Candidate(CandidateKind.SERVER_REFLEXIVE, FAR),)


@pytest.mark.parametrize("near", ["192.168.1.9:5", "[2001:db8::9]:5"])
def test_an_address_of_our_own_subnet_is_on_the_lan(near: str) -> None:
    assert path_kind(Endpoint.parse(near), OWN, Mapping.ENDPOINT_INDEPENDENT, AS_SEEN) is PathKind.LAN


def test_ipv6_is_direct() -> None:
    assert path_kind(Endpoint.parse("[2a00::1]:5"), OWN, Mapping.ADDRESS_DEPENDENT, ()) is PathKind.DIRECT_IPV6


def test_ipv4_is_direct_where_neither_side_is_translated() -> None:
    assert path_kind(FAR, OWN, Mapping.NONE, AS_HOST) is PathKind.DIRECT_IPV4
    assert path_kind(FAR, OWN, Mapping.UNKNOWN, ()) is PathKind.DIRECT_IPV4


def test_one_nat_on_either_side_is_enough() -> None:
    assert path_kind(FAR, OWN, Mapping.ENDPOINT_INDEPENDENT, AS_HOST) is PathKind.THROUGH_NAT
    assert path_kind(FAR, OWN, Mapping.NONE, AS_SEEN) is PathKind.THROUGH_NAT

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from shadowmesh.paths.port_mapping import nat_pmp, pcp
from shadowmesh.paths.port_mapping.answers import Ended, Granted, Refused
from shadowmesh.paths.port_mapping.pcp_client import PcpClient
from shadowmesh.paths.port_mapping.status import Gateway
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError

GATEWAY = Gateway(IPv4Address("192.168.7.1"), IPv4Address("192.168.7.11"))
NONCE = bytes(range(12))
EXTERNAL = Endpoint.of("11.18.0.1", 41642)
MAPPED = pcp.MapResponse(NONCE, 41641, EXTERNAL.port, EXTERNAL.address, 3600, 100)


def test_a_first_request_wants_our_port_on_any_address() -> None:
    sent = PcpClient(GATEWAY, 41641, NONCE).request(3600, 41641)
    assert sent.destination == Endpoint(GATEWAY.address, 5351)
    any_address = IPv4Address(0)
    assert pcp.MapRequest.decode(sent.payload) == pcp.MapRequest(GATEWAY.local, NONCE, 41641, 41641, any_address, 3600)


def test_a_renewal_wants_what_we_have() -> None:
    request = pcp.MapRequest.decode(PcpClient(GATEWAY, 41641, NONCE).request(3600, EXTERNAL).payload)
    assert (request.external_address, request.external_port) == (EXTERNAL.address, EXTERNAL.port)


def test_a_release_is_the_same_with_lifetime_zero() -> None:
    client = PcpClient(GATEWAY, 41641, NONCE)
    kept = pcp.MapRequest.decode(client.request(3600, EXTERNAL).payload)
    assert pcp.MapRequest.decode(client.release(EXTERNAL).payload) == replace(kept, lifetime_s=0)


def test_for_ipv6_any_address_is_an_ipv6_one() -> None:
    gateway = Gateway(IPv6Address("fe80::1"), IPv6Address("2001:db8::7"))
    request = pcp.MapRequest.decode(PcpClient(gateway, 41641, NONCE).request(3600, 41641).payload)
    assert (request.client, request.external_address) == (gateway.local, IPv6Address(0))


def test_what_the_router_gives_is_granted() -> None:
    assert receive(MAPPED) == Granted(EXTERNAL, 3600)


def test_a_lifetime_of_zero_is_an_end() -> None:
    assert receive(replace(MAPPED, lifetime_s=0)) == Ended()


@pytest.mark.parametrize("other", [replace(MAPPED, nonce=bytes(12)), replace(MAPPED, internal_port=1)])
def test_the_answer_to_somebody_else_is_none(other: pcp.MapResponse) -> None:
    assert receive(other) is None


@pytest.mark.parametrize("bad", [replace(MAPPED, external_port=0), replace(MAPPED, external_address=IPv4Address(0))])
def test_a_mapping_to_nowhere_is_refused(bad: pcp.MapResponse) -> None:
    assert receive(bad) == Refused("the router has no outside address")


def test_an_error_with_our_nonce_is_a_refusal_by_name() -> None:
    assert receive(pcp.ErrorResponse(1, 2, 30, 100, NONCE)) == Refused("NOT_AUTHORIZED")
    assert receive(pcp.ErrorResponse(1, 99, 30, 100, NONCE)) == Refused("result 99")


def test_an_error_without_our_nonce_counts_only_when_the_request_was_not_read() -> None:
    assert receive(pcp.ErrorResponse(1, pcp.ResultCode.UNSUPP_VERSION, 0, 100)) == Refused("UNSUPP_VERSION")
    assert receive(pcp.ErrorResponse(1, pcp.ResultCode.NO_RESOURCES, 0, 100)) is None
    assert receive(pcp.ErrorResponse(1, pcp.ResultCode.NO_RESOURCES, 0, 100, bytes(12))) is None


def test_a_nat_pmp_router_is_known_by_its_version() -> None:
    client = PcpClient(GATEWAY, 41641, NONCE)
    refusal = nat_pmp.ErrorResponse(1, nat_pmp.ResultCode.UNSUPPORTED_VERSION, 7)
    assert client.receive(refusal.encode(), 0.0) == Refused("the router speaks NAT-PMP")
    assert client.receive(nat_pmp.AddressResponse(7, IPv4Address("11.18.0.1")).encode(), 0.0) is None


def test_an_announcement_with_a_younger_epoch_is_a_loss() -> None:
    client = PcpClient(GATEWAY, 41641, NONCE)
    client.receive(MAPPED.encode(), 0.0)
    assert not client.has_lost(pcp.AnnounceResponse(110).encode(), 10.0)
    assert client.has_lost(pcp.AnnounceResponse(2).encode(), 20.0)
    assert not client.has_lost(MAPPED.encode(), 20.0)
    with pytest.raises(DecodeError):
        client.has_lost(b"", 20.0)


def receive(response: pcp.Response) -> object:
    return PcpClient(GATEWAY, 41641, NONCE).receive(response.encode(), 0.0)

from ipaddress import IPv4Address

import pytest

from shadowmesh.paths.port_mapping.answers import AskAgain, Ended, Granted, Refused
from shadowmesh.paths.port_mapping.nat_pmp import (
    AddressRequest,
    AddressResponse,
    ErrorResponse,
    MapRequest,
    MapResponse,
    ResultCode,
)
from shadowmesh.paths.port_mapping.nat_pmp_client import NatPmpClient
from shadowmesh.paths.port_mapping.pcp import AnnounceResponse
from shadowmesh.paths.port_mapping.status import Gateway
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError

GATEWAY = Gateway(IPv4Address("192.168.7.1"), IPv4Address("192.168.7.11"))
OUTSIDE = IPv4Address("11.18.0.1")
ADDRESS = AddressResponse(100, OUTSIDE).encode()
MAPPED = MapResponse(100, 41641, 41642, 3600).encode()


def test_the_address_is_asked_first_and_then_the_port() -> None:
    client = NatPmpClient(GATEWAY, 41641)
    client.begin()
    assert client.request(3600, 41641).destination == Endpoint(GATEWAY.address, 5351)
    assert AddressRequest.decode(client.request(3600, 41641).payload) == AddressRequest()
    assert client.receive(ADDRESS, 0.0) == AskAgain()
    assert MapRequest.decode(client.request(3600, 41641).payload) == MapRequest(41641, 41641, 3600)
    assert client.receive(MAPPED, 0.0) == Granted(Endpoint(OUTSIDE, 41642), 3600)


def test_a_renewal_asks_for_the_address_again_and_for_the_port_that_we_have() -> None:
    client = mapped()
    client.begin()
    assert AddressRequest.decode(client.request(3600, Endpoint(OUTSIDE, 41642)).payload) == AddressRequest()
    assert client.receive(AddressResponse(100, IPv4Address("11.18.0.2")).encode(), 1.0) == AskAgain()
    assert MapRequest.decode(client.request(3600, Endpoint(OUTSIDE, 41642)).payload) == MapRequest(41641, 41642, 3600)
    assert client.receive(MAPPED, 1.0) == Granted(Endpoint.of("11.18.0.2", 41642), 3600)


def test_a_release_has_neither_port_nor_lifetime() -> None:
    client = NatPmpClient(GATEWAY, 41641)
    assert MapRequest.decode(client.release(41641).payload) == MapRequest(41641, 0, 0)
    assert client.receive(MapResponse(100, 41641, 0, 0).encode(), 0.0) == Ended()


def test_an_answer_to_the_other_step_or_to_another_port_is_none() -> None:
    client = NatPmpClient(GATEWAY, 41641)
    client.begin()
    assert client.receive(MAPPED, 0.0) is None
    assert client.receive(ErrorResponse(1, ResultCode.OUT_OF_RESOURCES, 100).encode(), 0.0) is None
    client.receive(ADDRESS, 0.0)
    assert client.receive(ADDRESS, 0.0) is None
    assert client.receive(MapResponse(100, 41640, 41640, 3600).encode(), 0.0) is None


def test_an_error_is_a_refusal_by_name() -> None:
    client = NatPmpClient(GATEWAY, 41641)
    client.begin()
    assert client.receive(ErrorResponse(0, ResultCode.NETWORK_FAILURE, 1).encode(), 0.0) == Refused("NETWORK_FAILURE")
    assert client.receive(ErrorResponse(0, 77, 1).encode(), 0.0) == Refused("result 77")


def test_a_router_without_an_outside_address_is_refused() -> None:
    client = NatPmpClient(GATEWAY, 41641)
    client.begin()
    nowhere = AddressResponse(100, IPv4Address(0)).encode()
    assert client.receive(nowhere, 0.0) == Refused("the router has no outside address")


def test_an_announced_address_or_epoch_that_is_new_is_a_loss() -> None:
    assert not mapped().has_lost(AddressResponse(110, OUTSIDE).encode(), 10.0)
    assert mapped().has_lost(AddressResponse(110, IPv4Address("11.18.0.2")).encode(), 10.0)
    assert mapped().has_lost(AddressResponse(3, OUTSIDE).encode(), 10.0)
    assert not mapped().has_lost(MAPPED, 10.0)


def test_an_announcement_by_pcp_is_not_read() -> None:
    with pytest.raises(DecodeError):
        mapped().has_lost(AnnounceResponse(0).encode(), 10.0)


def mapped() -> NatPmpClient:
    client = NatPmpClient(GATEWAY, 41641)
    client.begin()
    client.receive(ADDRESS, 0.0)
    client.receive(MAPPED, 0.0)
    return client

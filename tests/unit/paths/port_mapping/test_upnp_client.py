from ipaddress import IPv4Address

import pytest
from tests.sim.chance import SeededEntropy

from shadowmesh.paths.port_mapping.answers import AskAgain, Ended, Granted, Refused, Silent
from shadowmesh.paths.port_mapping.status import Gateway
from shadowmesh.paths.port_mapping.upnp import UpnpAdd, UpnpAdded, UpnpDelete, UpnpDeleted, UpnpErrorCode, UpnpFailed
from shadowmesh.paths.port_mapping.upnp_client import MAX_OTHER_PORTS, PERMANENT_CHECK_S, UpnpClient
from shadowmesh.wire.endpoint import Endpoint

GATEWAY = Gateway(IPv4Address("192.168.7.1"), IPv4Address("192.168.7.11"))
INTERNAL = Endpoint(GATEWAY.local, 41641)
EXTERNAL = Endpoint.of("11.18.0.1", 41641)


def test_our_port_is_asked_for() -> None:
    client = asking()
    request = client.request(3600, 41641)
    assert request == UpnpAdd(1, INTERNAL, 41641, 3600)
    assert client.receive(UpnpAdded(request, EXTERNAL)) == Granted(EXTERNAL, 3600)


def test_an_answer_to_an_earlier_request_and_a_second_answer_are_none() -> None:
    client = asking()
    earlier, request = client.request(3600, 41641), client.request(3600, 41641)
    assert client.receive(UpnpAdded(earlier, EXTERNAL)) is None
    assert client.receive(UpnpAdded(request, EXTERNAL)) is not None
    assert client.receive(UpnpAdded(request, EXTERNAL)) is None


def test_a_port_that_is_taken_gives_three_others_a_try() -> None:
    client = asking()
    ports = []
    for _ in range(MAX_OTHER_PORTS + 1):
        request = client.request(3600, 41641)
        ports.append(request.external_port)
        answer = client.receive(UpnpFailed(request, UpnpErrorCode.CONFLICT_IN_MAPPING_ENTRY, "taken"))
    assert answer == Refused("taken")
    assert ports[0] == 41641
    assert len(set(ports)) == len(ports)
    assert all(49152 <= port <= 65535 for port in ports[1:])


def test_the_other_port_is_kept_when_it_is_renewed() -> None:
    client = asking()
    request = client.request(3600, 41641)
    client.receive(UpnpFailed(request, UpnpErrorCode.CONFLICT_IN_MAPPING_ENTRY, "taken"))
    other = client.request(3600, 41641).external_port
    client.begin()
    assert client.request(3600, Endpoint(EXTERNAL.address, other)).external_port == other


@pytest.mark.parametrize("code", [UpnpErrorCode.ONLY_PERMANENT_LEASES_SUPPORTED, UpnpErrorCode.INVALID_ARGS])
def test_a_router_without_leases_gets_a_mapping_for_good_that_is_looked_after(code: UpnpErrorCode) -> None:
    client = asking()
    assert client.receive(UpnpFailed(client.request(3600, 41641), code, "no lease")) == AskAgain()
    request = client.request(3600, 41641)
    assert request.lease_s == 0
    assert client.receive(UpnpAdded(request, EXTERNAL)) == Granted(EXTERNAL, PERMANENT_CHECK_S)


def test_a_router_that_refuses_that_too_has_refused() -> None:
    client = asking()
    for answer in (AskAgain(), Refused("no")):
        failed = UpnpFailed(client.request(3600, 41641), UpnpErrorCode.INVALID_ARGS, "no")
        assert client.receive(failed) == answer


def test_no_device_is_silence_and_any_other_code_a_refusal() -> None:
    client = asking()
    assert client.receive(UpnpFailed(client.request(3600, 41641), None, "no device")) == Silent("no device")
    assert client.receive(UpnpFailed(client.request(3600, 41641), 606, "not authorized")) == Refused("not authorized")


def test_a_router_without_an_outside_address_is_refused() -> None:
    client = asking()
    nowhere = Endpoint.of("0.0.0.0", 41641)
    answer = client.receive(UpnpAdded(client.request(3600, 41641), nowhere))
    assert answer == Refused("the router has no outside address")


def test_a_release_ends_whatever_the_router_says() -> None:
    client = asking()
    request = client.release(EXTERNAL)
    assert request == UpnpDelete(1, 41641)
    assert client.receive(UpnpDeleted(request)) == Ended()
    assert client.receive(UpnpFailed(client.release(EXTERNAL), 714, "no such entry")) == Ended()


def asking() -> UpnpClient:
    client = UpnpClient(GATEWAY, 41641, SeededEntropy(1))
    client.begin()
    return client

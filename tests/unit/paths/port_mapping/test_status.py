from ipaddress import IPv4Address

import pytest

from shadowmesh.paths.port_mapping.status import Gateway, MappingProtocol, MappingState, MappingStatus
from shadowmesh.wire.endpoint import Endpoint

GATEWAY = Gateway(IPv4Address("192.168.7.1"), IPv4Address("192.168.7.11"))
EXTERNAL = Endpoint.of("11.18.0.1", 41641)


@pytest.mark.parametrize("state", MappingState)
def test_only_what_the_internet_reaches_is_usable(state: MappingState) -> None:
    status = MappingStatus(GATEWAY, state, MappingProtocol.PCP, EXTERNAL)
    assert status.usable == (EXTERNAL if state is MappingState.MAPPED else None)

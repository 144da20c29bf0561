import pytest

from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.theory import Dependence, Ports

EI, AD, APD = Dependence


@pytest.mark.parametrize(
    ("kind", "mapping", "filtering", "ports"),
    [
        (NatKind.PUBLIC, EI, EI, Ports.PRESERVED),
        (NatKind.FIREWALL, EI, APD, Ports.PRESERVED),
        (NatKind.FULL_CONE, EI, EI, Ports.PRESERVED),
        (NatKind.ADDRESS_RESTRICTED, EI, AD, Ports.PRESERVED),
        (NatKind.PORT_RESTRICTED, EI, APD, Ports.PRESERVED),
        (NatKind.SYMMETRIC, APD, APD, Ports.RANDOM),
        (NatKind.SEQUENTIAL, APD, APD, Ports.SEQUENTIAL),
        (NatKind.CARRIER, EI, EI, Ports.RANDOM),
    ],
)
def test_a_kind_is_what_rfc_4787_calls_it(
    kind: NatKind, mapping: Dependence, filtering: Dependence, ports: Ports
) -> None:
    behaviour = kind.behaviour
    assert (behaviour.mapping, behaviour.filtering, behaviour.ports) == (mapping, filtering, ports)
    assert behaviour.udp


def test_every_kind_has_a_behaviour_and_only_one_blocks_udp() -> None:
    assert [kind for kind in NatKind if not kind.behaviour.udp] == [NatKind.UDP_BLOCKED]


def test_a_router_without_nat_does_not_translate() -> None:
    assert [kind for kind in NatKind if not kind.translates] == [NatKind.PUBLIC, NatKind.FIREWALL]

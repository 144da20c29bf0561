from __future__ import annotations

from ipaddress import ip_address

from tests.unit.cli.test_render import PEER
from tests.unit.node.test_peer_advice import RANDOM, TOLD, WHERE, network, report

from shadowmesh.mesh.network_check import Observer
from shadowmesh.mesh.state import PeerState
from shadowmesh.node import diagnosis
from shadowmesh.paths.nat_behaviour import Mapping, NatBehaviour, PortRange
from shadowmesh.paths.port_mapping.status import Gateway, MappingProtocol, MappingState, MappingStatus

MAPPED = MappingStatus(
    Gateway(ip_address("192.168.1.1"), ip_address("192.168.1.7")), MappingState.MAPPED, MappingProtocol.PCP, WHERE
)


def test_netcheck_sorts_what_was_seen_by_family_and_says_who_is_reached() -> None:
    document = diagnosis.netcheck(network(heard=True, nat=RANDOM), [MAPPED], port=41641, took_s=2.0)
    assert (document.udp, document.ipv4, document.ipv6) == (True, ["203.0.113.5:41641"], [])
    assert [each.outcome for each in document.reach] == ["by-trying", "never", "never"]
    assert document.port_mappings[0].external == "203.0.113.5:41641"
    assert document.backbone == ""


def test_nobody_knows_who_is_reached_when_nobody_could_be_asked() -> None:
    document = diagnosis.netcheck(network(heard=False, online=False), [], port=41641, took_s=0.0)
    assert (document.udp, document.reach) == (None, [])


def test_where_a_hard_nat_takes_its_ports_is_told() -> None:
    assert diagnosis.nat(RANDOM).ports == (1024, 65535)
    assert diagnosis.nat(NatBehaviour(Mapping.ADDRESS_DEPENDENT, block=PortRange(5000, 6000))).ports == (5000, 6000)
    assert diagnosis.nat(NatBehaviour(Mapping.ENDPOINT_INDEPENDENT)).ports is None


def test_a_region_is_as_far_as_its_nearest_node() -> None:
    def seen(region: int, rtt_s: float | None) -> Observer:
        return Observer(WHERE, "https://b", region, WHERE, rtt_s)

    found = diagnosis.regions([seen(3, 0.03), seen(3, 0.02), seen(3, None), seen(1, None)])
    assert found == {"europe": 0.02, "north_america": None}


def test_why_has_one_line_that_says_how_it_stands() -> None:
    def summary(state: PeerState) -> str:
        document = diagnosis.why(
            report(state=state), network(heard=True), [], PEER, port=1, own_fingerprint="sm1own", now=3.0
        )
        assert document.attempt is not None
        assert (document.attempt.age_s, len(document.told)) == (2.0, len(TOLD))
        return document.summary

    assert summary(PeerState.CONNECTED) == "bob is connected directly by 10.0.0.7"
    assert summary(PeerState.UNREACHABLE).startswith("bob is not reached: ")
    assert summary(PeerState.IDLE).startswith("bob is not connected: ")
    assert summary(PeerState.LOOKING_UP).startswith("bob is not connected yet: ")

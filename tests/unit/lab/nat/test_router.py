from ipaddress import ip_interface

import pytest
from tests.unit.lab.recorder import Recorder, recorded_host

from shadowmesh.lab.errors import LabError
from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.router import Router
from shadowmesh.lab.nat.rules import Ipv6, Policy, ruleset

PAUSE = ("nft", "-f", "-")
RESUME = ("nft", "delete", "table", "inet", "pause")


def test_a_router_forwards_both_families_and_loads_its_rules() -> None:
    made, recorder = router(Policy(NatKind.FULL_CONE, mapping_timeout_s=30))
    assert recorder.settings["ipv4/ip_forward"] == recorder.settings["ipv6/conf/all/forwarding"] == "1"
    assert recorder.settings["netfilter/nf_conntrack_udp_timeout"] == "30"
    assert recorder.settings["netfilter/nf_conntrack_udp_timeout_stream"] == "30"
    assert recorder.commands == [("nft", "-f", "-")]
    assert recorder.stdins == [ruleset(made.policy, made.host.ipv4)]


def test_a_rebind_forgets_all_flows_and_keeps_no_inside_port_from_then_on() -> None:
    made, recorder = router(Policy(NatKind.PORT_RESTRICTED))
    made.rebind()
    assert made.policy.random_ports
    assert recorder.commands[1:] == [PAUSE, ("nft", "-f", "-"), ("conntrack", "--flush"), RESUME]


def test_a_symmetric_router_needs_no_other_rules_to_rebind() -> None:
    made, recorder = router(Policy(NatKind.SYMMETRIC))
    made.rebind()
    assert recorder.commands[1:] == [PAUSE, ("conntrack", "--flush"), RESUME]


@pytest.mark.parametrize("kind", [None, NatKind.PUBLIC, NatKind.FIREWALL, NatKind.UDP_BLOCKED])
def test_a_router_without_mappings_has_nothing_to_rebind(kind: NatKind | None) -> None:
    with pytest.raises(LabError, match="home has no mappings of UDP to change"):
        router(Policy(kind, Ipv6.OPEN))[0].rebind()


def test_a_router_that_maps_ports_on_request_is_not_rebound() -> None:
    with pytest.raises(LabError, match="which ports it gives cannot be changed"):
        router(Policy(NatKind.UPNP))[0].rebind()


def test_the_entries_are_those_that_the_kernel_counts() -> None:
    made, recorder = router(Policy(NatKind.FULL_CONE))
    recorder.settings["netfilter/nf_conntrack_count"] = "17"
    assert made.conntrack_entries() == 17


def router(policy: Policy) -> tuple[Router, Recorder]:
    host, recorder = recorded_host("home", ip_interface("11.18.0.9/17"))
    return Router(host, policy), recorder

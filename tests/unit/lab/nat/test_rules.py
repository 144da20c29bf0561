from ipaddress import IPv4Address

import pytest

from shadowmesh.lab.errors import LabError
from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.rules import SEQUENTIAL_PORTS, Ipv6, Policy, ruleset

OUTSIDE = IPv4Address("11.18.0.9")


@pytest.mark.parametrize("kind", [*NatKind, None])
def test_rules_replace_what_was_there_and_drop_what_nobody_asked_for(kind: NatKind | None) -> None:
    text = ruleset(Policy(kind, Ipv6.FIREWALL), OUTSIDE if kind else None)
    assert text.startswith("table inet router\ndelete table inet router\ntable inet router {\n")
    assert "type filter hook forward priority filter; policy drop;" in text
    assert 'iifname "eth0" drop' in text
    assert ("elements = { 11.18.0.9 }" in text) == (kind is not None)


@pytest.mark.parametrize("kind", NatKind)
def test_only_a_router_that_translates_masquerades(kind: NatKind) -> None:
    assert ("masquerade" in ruleset(Policy(kind), OUTSIDE)) == kind.translates


def test_a_router_without_an_input_filter_takes_what_comes() -> None:
    assert 'iifname "eth0" drop' not in ruleset(Policy(NatKind.PORT_RESTRICTED, input_filter=False), OUTSIDE)


def test_ipv6_is_let_in_only_where_it_is_open() -> None:
    accept = "meta nfproto ipv6 accept"
    assert accept in ruleset(Policy(NatKind.SYMMETRIC, Ipv6.OPEN), OUTSIDE)
    assert accept not in ruleset(Policy(NatKind.SYMMETRIC, Ipv6.FIREWALL), OUTSIDE)


def test_sequential_ports_follow_each_other() -> None:
    text = ruleset(Policy(NatKind.SEQUENTIAL), OUTSIDE)
    first = SEQUENTIAL_PORTS.start
    assert f"map {{ 0 : {first}, 1 : {first + 1}, 2 : {first + 2}," in text


def test_what_needs_recorded_mappings_makes_a_plain_router_a_strict_one() -> None:
    plain = NatKind.PORT_RESTRICTED
    assert Policy(plain).effective_kind is plain
    assert Policy(plain, hairpin=True).effective_kind is NatKind.PORT_RESTRICTED_STRICT
    assert Policy(plain, random_ports=True).effective_kind is NatKind.PORT_RESTRICTED_STRICT


@pytest.mark.parametrize(
    ("kind", "hairpin", "random_ports", "timeout_s", "reason"),
    [
        (NatKind.SYMMETRIC, True, False, 120, "no hairpin"),
        (None, True, False, 120, "no hairpin"),
        (NatKind.SYMMETRIC, False, True, 120, "which ports it gives cannot be changed"),
        (NatKind.UPNP, False, True, 120, "which ports it gives cannot be changed"),
        (NatKind.FULL_CONE, False, False, 0, "mapping timeout of 0 s"),
        (None, False, False, 120, "IPv4, IPv6 or both"),
    ],
)
def test_what_no_rules_can_express_is_refused(
    kind: NatKind | None, hairpin: bool, random_ports: bool, timeout_s: int, reason: str
) -> None:
    with pytest.raises(LabError, match=reason):
        Policy(kind, hairpin=hairpin, random_ports=random_ports, mapping_timeout_s=timeout_s)

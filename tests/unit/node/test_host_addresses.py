from ipaddress import IPv4Address, IPv6Address

from tests.unit.identity.people import ALICE

from shadowmesh.identity.names import OVERLAY_NETWORK
from shadowmesh.node.host_addresses import host_addresses, parse_if_inet6


def _line(address: str, *, flags: int = 0x80, name: str = "eth0") -> str:
    return f"{IPv6Address(address).packed.hex()} 02 40 00 {flags:02x} {name:>8}\n"


def test_a_global_address_is_a_candidate() -> None:
    assert parse_if_inet6(_line("2001:db8::1"), None) == [IPv6Address("2001:db8::1")]


def test_a_private_address_is_a_candidate() -> None:
    assert parse_if_inet6(_line("fd12::1"), None) == [IPv6Address("fd12::1")]


def test_what_nobody_else_can_reach_is_left_out() -> None:
    overlay = str(ALICE.peer_id.overlay_address)
    table = (
        _line("::1", name="lo")
        + _line("fe80::1")
        + _line("2001:db8::2", name="shadowmesh0")
        + _line(overlay, name="other")
        + _line("2001:db8::3", flags=0x20)
        + _line("2001:db8::4", flags=0x40)
        + _line("2001:db8::5", flags=0x08)
        + "nonsense\n"
    )
    assert parse_if_inet6(table, "shadowmesh0") == []


def test_this_host_has_no_loopback_or_overlay_candidates() -> None:
    for address in host_addresses(None):
        assert isinstance(address, IPv4Address | IPv6Address)
        assert not address.is_loopback
        assert not address.is_link_local
        assert address not in OVERLAY_NETWORK
    assert host_addresses(None) == host_addresses(None)

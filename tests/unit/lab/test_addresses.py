import pytest

from shadowmesh.lab.addresses import AddressPlan
from shadowmesh.lab.errors import LabError


def texts(addresses: object) -> list[str]:
    assert isinstance(addresses, tuple)
    return [str(address) for address in addresses]


def default_plan() -> AddressPlan:
    return AddressPlan("198.18.0.0/16", "2001:db8::/32")


def test_hosts_on_the_switch_get_consecutive_addresses() -> None:
    plan = default_plan()
    assert texts(plan.next_on_switch()) == ["198.18.0.1/17", "2001:db8::1/64"]
    assert texts(plan.next_on_switch()) == ["198.18.0.2/17", "2001:db8::2/64"]


def test_an_address_that_was_claimed_is_not_handed_out_again() -> None:
    plan = default_plan()
    assert texts(plan.claim(["198.18.0.1/17"])) == ["198.18.0.1/17"]
    assert texts(plan.next_on_switch()) == ["198.18.0.2/17", "2001:db8::1/64"]


def test_an_address_cannot_be_claimed_twice() -> None:
    plan = default_plan()
    plan.next_on_switch()
    with pytest.raises(LabError, match=r"198\.18\.0\.1 is taken"):
        plan.claim(["198.18.0.1/17"])


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(LabError, match="not an address"):
        default_plan().claim(["198.18.0.300/17"])


def test_each_direct_link_has_networks_of_its_own() -> None:
    plan = default_plan()
    near, far = plan.next_link()
    assert texts(near) == ["198.18.128.1/30", "2001:db8:0:1::1/64"]
    assert texts(far) == ["198.18.128.2/30", "2001:db8:0:1::2/64"]
    near, _ = plan.next_link()
    assert texts(near) == ["198.18.128.5/30", "2001:db8:0:2::1/64"]


def test_a_network_that_is_used_up_says_so() -> None:
    plan = AddressPlan("192.0.2.0/28", "2001:db8::/60")
    for _ in range(6):
        plan.next_on_switch()
    with pytest.raises(LabError, match="no free address"):
        plan.next_on_switch()
    for _ in range(2):
        plan.next_link()
    with pytest.raises(LabError, match="no free network"):
        plan.next_link()


@pytest.mark.parametrize(
    ("ipv4", "ipv6"),
    [("192.0.2.0/29", "2001:db8::/32"), ("198.18.0.0/16", "2001:db8::/64"), ("198.18.0.1/16", "2001:db8::/32")],
)
def test_a_network_that_is_too_small_or_none_is_refused(ipv4: str, ipv6: str) -> None:
    with pytest.raises(LabError):
        AddressPlan(ipv4, ipv6)

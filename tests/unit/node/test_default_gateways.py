from ipaddress import IPv4Address, IPv6Address

from shadowmesh.node.default_gateways import DefaultRoute, default_gateways, parse_ipv6_route, parse_route

ROUTE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0107A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
wlan0\t00000000\t010AA8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0
eth0\t0007A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
eth0\t00000000\t0108A8C0\t0002\t0\t0\t10\t00000000\t0\t0\t0
eth0\t00000000\t0109A8C0\t0003\t0\t0\t10\t000000F0\t0\t0\t0
"""
ZERO, ROUTER = "0" * 32, "fe800000000000000000000000000001"
IPV6_ROUTE = f"""\
20010db8000000000000000000000000 40 {ZERO} 00 {ZERO} 00000100 00000001 00000000 00000001     eth0
{ZERO} 00 {ZERO} 00 {ROUTER} 00000400 00000003 00000000 00450003     eth0
{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200       lo
{ZERO} 00 20010db8000000000000000000000000 40 {ROUTER} 00000001 00000003 00000000 00450003     eth1
"""


def test_the_routers_of_the_ipv4_table_are_read() -> None:
    assert parse_route(ROUTE) == [
        DefaultRoute(IPv4Address("192.168.7.1"), "eth0", 100),
        DefaultRoute(IPv4Address("192.168.10.1"), "wlan0", 600),
    ]


def test_the_routers_of_the_ipv6_table_are_read() -> None:
    assert parse_ipv6_route(IPV6_ROUTE) == [DefaultRoute(IPv6Address("fe80::1"), "eth0", 0x400)]


def test_an_empty_table_has_no_router() -> None:
    assert parse_route("") == parse_ipv6_route("") == []


def test_this_host_has_at_most_one_gateway_of_a_family() -> None:
    versions = [reached.gateway.address.version for reached in default_gateways()]
    assert versions == sorted(set(versions))
    for reached in default_gateways():
        assert reached.gateway.local.version == reached.gateway.address.version

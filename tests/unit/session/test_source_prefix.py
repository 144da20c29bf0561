from shadowmesh.session.source_prefix import source_prefix
from shadowmesh.wire.endpoint import Endpoint


def test_ipv4_addresses_of_one_slash_24_are_one_source() -> None:
    first, neighbour, other = (Endpoint.of(host, 1) for host in ("192.0.2.1", "192.0.2.255", "192.0.3.1"))
    assert source_prefix(first) == source_prefix(neighbour) != source_prefix(other)


def test_ipv6_addresses_of_one_slash_48_are_one_source() -> None:
    first, neighbour, other = (Endpoint.of(host, 1) for host in ("2001:db8:1::1", "2001:db8:1:2::9", "2001:db8:2::1"))
    assert source_prefix(first) == source_prefix(neighbour) != source_prefix(other)


def test_an_address_in_its_mapped_form_is_the_ipv4_address() -> None:
    assert source_prefix(Endpoint.of("::ffff:192.0.2.1", 1)) == source_prefix(Endpoint.of("192.0.2.7", 2))

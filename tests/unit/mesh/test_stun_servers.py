from tests.sim.world import identity_number

from shadowmesh.mesh.stun_servers import choose_stun_servers
from shadowmesh.records.directory import BackboneNode
from shadowmesh.wire.endpoint import Endpoint


def test_two_ports_of_the_used_node_come_first_then_one_of_each_other_address() -> None:
    nodes = [dual_stack(number) for number in range(4)]
    chosen = choose_stun_servers(nodes, nodes[2].fingerprint)
    assert chosen == (
        ipv4(2, 3478),
        ipv4(2, 3479),
        ipv4(0, 3478),
        ipv4(1, 3478),
        ipv6(2, 3478),
        ipv6(0, 3478),
    )


def test_ipv6_servers_are_asked_even_when_one_node_is_all_there_is() -> None:
    node = dual_stack(0)
    assert choose_stun_servers([node], None) == (ipv4(0, 3478), ipv4(0, 3479), ipv6(0, 3478))


def test_a_second_address_of_the_used_node_counts_before_other_nodes() -> None:
    used = node(0, ipv4(0, 3478), ipv4(0, 3479), ipv4(9, 3478), ipv4(9, 3479))
    chosen = choose_stun_servers([dual_stack(1), used], used.fingerprint)
    assert chosen[:4] == (ipv4(0, 3478), ipv4(0, 3479), ipv4(9, 3478), ipv4(1, 3478))


def test_without_ipv4_only_ipv6_is_asked() -> None:
    assert choose_stun_servers([node(0, ipv6(0, 3478), ipv6(0, 3479))], None) == (ipv6(0, 3478),)
    assert choose_stun_servers([], None) == ()


def dual_stack(number: int) -> BackboneNode:
    return node(number, ipv4(number, 3478), ipv4(number, 3479), ipv6(number, 3478), ipv6(number, 3479))


def node(number: int, *stun: Endpoint) -> BackboneNode:
    return BackboneNode(identity_number(1000 + number).public, 0, f"https://{number}.example", stun)


def ipv4(number: int, port: int) -> Endpoint:
    return Endpoint.of(f"198.19.0.{number + 1}", port)


def ipv6(number: int, port: int) -> Endpoint:
    return Endpoint.of(f"2001:db8::{number + 1}", port)

from tests.sim.chance import SeededEntropy
from tests.sim.world import identity_number

from shadowmesh.mesh.backbone_order import BackboneOrder
from shadowmesh.mesh.state import BackbonePin
from shadowmesh.records.directory import BackboneNode

IDENTITIES = [identity_number(2000 + number) for number in range(8)]
PINS = [BackbonePin(f"https://pin{number}.example", IDENTITIES[number].fingerprint) for number in range(2)]


def test_pins_come_first_in_the_owners_order_then_our_region_then_the_others() -> None:
    order = made()
    order.set_directory([node(7, 1), node(2, 3), node(6, 1), node(3, 3)])
    urls = take(order, 6)
    assert urls[:2] == [pin.url for pin in PINS]
    assert set(urls[2:4]) == {node(2, 3).url, node(3, 3).url}
    assert set(urls[4:]) == {node(6, 1).url, node(7, 1).url}


def test_nodes_of_one_region_are_shuffled_from_client_to_client() -> None:
    seen = set()
    for seed in range(20):
        order = made(seed)
        order.set_directory([node(number, 3) for number in range(2, 8)])
        seen.add(take(order, 3)[2])
    assert len(seen) > 2


def test_the_turn_goes_round() -> None:
    assert take(made(), 3) == [PINS[0].url, PINS[1].url, PINS[0].url]


def test_a_pinned_node_of_the_directory_is_asked_at_the_pinned_address() -> None:
    order = made()
    order.set_directory([node(0, 3)])
    assert len(order) == 2
    assert take(order, 1) == [PINS[0].url]


def test_a_node_that_asked_for_patience_is_passed_over() -> None:
    order = made()
    order.postpone(PINS[0].fingerprint, 100.0)
    assert take(order, 2) == [PINS[1].url, PINS[1].url]
    order.postpone(PINS[1].fingerprint, 50.0)
    assert order.take_next(10.0) is None
    assert order.available_at(10.0) == 50.0


def test_a_new_directory_does_not_change_whose_turn_is_next() -> None:
    order = made()
    take(order, 1)
    order.set_directory([node(2, 3)])
    assert take(order, 1) == [PINS[1].url]


def test_who_is_neither_pinned_nor_listed_is_not_in_the_order() -> None:
    order = made()
    order.set_directory([node(2, 3)])
    assert IDENTITIES[2].fingerprint in order
    order.set_directory([node(3, 3)])
    assert IDENTITIES[2].fingerprint not in order
    assert IDENTITIES[0].fingerprint in order


def test_a_pin_that_is_written_twice_counts_once() -> None:
    assert len(BackboneOrder([PINS[0], PINS[0]], 0, SeededEntropy(1))) == 1


def test_without_any_node_there_is_nobody_to_ask() -> None:
    order = BackboneOrder([], 0, SeededEntropy(1))
    assert order.take_next(0.0) is None
    assert order.available_at(0.0) is None


def made(seed: int = 1) -> BackboneOrder:
    return BackboneOrder(PINS, 3, SeededEntropy(seed))


def take(order: BackboneOrder, count: int) -> list[str]:
    taken = [order.take_next(10.0) for _ in range(count)]
    return [pin.url for pin in taken if pin is not None]


def node(number: int, region: int) -> BackboneNode:
    return BackboneNode(IDENTITIES[number].public, region, f"https://node{number}.example", ())

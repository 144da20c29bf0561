from __future__ import annotations

from shadowmesh.mesh.outlet import Outlet
from shadowmesh.mesh.outputs import ClosePorts, InstallPeer, Output, RemovePeer, SetPath
from shadowmesh.session.cipher import Cipher
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.transmit import Transmit

BOUND, FREE = Endpoint.of("203.0.113.2", 41641), Endpoint.of("203.0.113.2", 5000)
KEY = bytes(32)


def test_a_datagram_gets_the_port_that_leads_to_its_destination() -> None:
    assert through(Transmit(b"x", BOUND)) == Transmit(b"x", BOUND, 7)


def test_what_goes_elsewhere_goes_through_the_main_port() -> None:
    assert through(Transmit(b"x", FREE)) == Transmit(b"x", FREE, 0)


def test_who_named_a_port_gets_that_one_also_the_main_one() -> None:
    for order in (Transmit(b"x", BOUND, 9), Transmit(b"x", FREE, 9), Transmit(b"x", BOUND, 0)):
        assert through(order) == order


def test_a_path_keeps_the_port_that_a_probe_of_the_session_has_shown() -> None:
    install = InstallPeer(KEY, KEY, BOUND, ("fd00::1/128",), False, Cipher.CHACHA20_POLY1305, 9)
    for order in (install, SetPath(KEY, BOUND, 9), SetPath(KEY, BOUND)):
        assert through(order) == order


def test_orders_without_a_destination_pass_as_they_are() -> None:
    for order in (RemovePeer(KEY), ClosePorts((7,))):
        assert through(order) == order


def test_the_order_of_orders_is_kept_and_the_port_is_that_of_the_moment() -> None:
    outlet = Outlet()
    outlet.append(Transmit(b"1", BOUND))
    outlet.ports.bind(BOUND, 7, 0.0)
    outlet.append(Transmit(b"2", BOUND))
    assert [outlet.poll(), outlet.poll(), outlet.poll()] == [
        Transmit(b"1", BOUND, 0),
        Transmit(b"2", BOUND, 7),
        None,
    ]


def through(order: Output) -> Output | None:
    outlet = Outlet()
    outlet.ports.bind(BOUND, 7, 0.0)
    outlet.append(order)
    return outlet.poll()

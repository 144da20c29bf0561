import pytest
from tests.unit.lab.nat.loopback import ADDRESS, observers, open_socket

from shadowmesh.lab.nat.observer import bound, endpoint, receive, receive_until


def test_observers_have_two_ports_at_each_address() -> None:
    with observers() as opened:
        ends = [endpoint(opened.at(place, port)) for place in (0, 1) for port in (0, 1)]
    assert [address for address, _ in ends] == ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"]
    assert len(set(ends)) == 4


def test_a_datagram_is_known_by_its_content() -> None:
    with bound(open_socket, ADDRESS) as sender, bound(open_socket, ADDRESS) as receiver:
        for content in (b"other", b"wanted"):
            sender.sendto(content, endpoint(receiver))
        assert receive(receiver, b"wanted", 5) == endpoint(sender)
        assert receive(receiver, b"wanted", 0) is None


def test_what_came_before_the_last_one_is_told_too() -> None:
    with bound(open_socket, ADDRESS) as sender, bound(open_socket, ADDRESS) as receiver:
        for content in (b"first", b"last", b"later"):
            sender.sendto(content, endpoint(receiver))
        assert list(receive_until(receiver, b"last", 5)) == [b"first", b"last"]


def test_an_address_that_is_not_here_leaves_no_socket_open() -> None:
    with pytest.raises(OSError, match="assign"):
        bound(open_socket, "203.0.113.1")

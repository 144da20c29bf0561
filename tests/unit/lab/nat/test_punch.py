import socket

from tests.unit.lab.nat.loopback import ADDRESS, open_socket

from shadowmesh.lab.nat.observer import Endpoint, bound
from shadowmesh.lab.nat.punch import Party, punch


def test_hosts_without_nat_are_joined_all_at_once() -> None:
    pair = (Party(open_socket, ADDRESS), Party(open_socket, "127.0.0.4"))
    with bound(open_socket, "127.0.0.2") as observer:
        assert punch([pair, pair], observer) == [True, True]
        assert punch([pair], observer, learn_sources=False) == [True]


def test_an_endpoint_that_is_announced_wrongly_takes_a_peer_that_learns() -> None:
    liar = Party(open_socket, ADDRESS, announce_discard)
    with bound(open_socket, "127.0.0.2") as observer:
        assert punch([(liar, Party(open_socket, "127.0.0.4"))], observer) == [True]
        assert punch([(liar, Party(open_socket, "127.0.0.4"))], observer, learn_sources=False) == [False]


def announce_discard(_opened: socket.socket) -> Endpoint:
    return "127.0.0.9", 9

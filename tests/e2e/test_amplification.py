"""What a real node sends to an address that has proved nothing, counted on the wire with IP and UDP headers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Sequence

import pytest
from tests.unit.session.adversary import LyingInitiator

from shadowmesh.control.home import Home
from shadowmesh.demo.actors import Backbone, LightNode
from shadowmesh.lab.host import Host
from shadowmesh.lab.network import Network
from shadowmesh.node import identity_file
from shadowmesh.session.cookie_reply import CookieReply
from shadowmesh.session.fragments import CID_BYTES, HEADER_BYTES, Fragment, MissingRequest, cut
from shadowmesh.session.limits import LOAD_HALF_OPEN
from shadowmesh.session.messages import M1_BYTES, M3_BYTES
from shadowmesh.wire import stun
from shadowmesh.wire.first_byte import ControlType

pytestmark = pytest.mark.privileged

BOUND = 3
_HEADERS_BYTES = 28  # IPv4 and UDP
_SILENCE_S = 0.3  # after what a node has to say: it answers within milliseconds
PORT = 41641


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    folder = tmp_path_factory.mktemp("amplification")
    with Network(log_directory=folder / "logs") as network:
        backbone = Backbone(network.host("backbone"), folder / "backbone")
        backbone.start()
        node = LightNode(network.host("bob"), folder / "bob")
        node.up("--backbone", backbone.pin, "--port", str(PORT))
        node.wait_online()
        yield Victim(node, network.host("mallory"))


def test_no_datagram_of_a_stranger_is_answered_with_three_times_its_size(victim: Victim) -> None:
    """In quiet times. Each line is one address of Mallory's, who knows Bob's public key."""
    ratios = {
        "half of M1": victim.attack([victim.message1(1)[0]] * 20),
        "M1": victim.attack(victim.message1(2)),
        "M1, ten times": victim.attack(victim.message1(3) * 10),
        "M1 with a wrong mac1": victim.attack(cut(1, b"whatever", bytes(M1_BYTES)).datagrams),
        "requests for M2, one fragment each": victim.ask_again(4, padded=True, together=False),
        "requests for M2, all at once": victim.ask_again(5, padded=True, together=True),
        "requests for M2 without padding": victim.ask_again(6, padded=False, together=True),
        "forged M3": victim.forge_message3(7),
        "garbage of each first byte": victim.attack(bytes([first]) + os.urandom(99) for first in range(256)),
        "tiny garbage of each first byte": victim.attack(bytes([first]) for first in range(256)),
        "STUN": victim.attack(stun.encode_binding_request(os.urandom(12)) for _ in range(20)),
        "probes": victim.attack(bytes([ControlType.PROBE, 1, 0, 0]) + os.urandom(66) for _ in range(20)),
        "WireGuard": victim.attack(bytes([kind, 0, 0, 0]) + os.urandom(144) for kind in (1, 2, 3, 4) * 5),
    }
    assert {what: ratio for what, ratio in ratios.items() if ratio >= BOUND} == {}
    assert ratios["M1"] > 2, "Mallory has no M1 that is answered"


def test_under_load_a_stranger_gets_a_cookie_reply_and_with_it_less_than_three_times_what_it_sends(
    victim: Victim,
) -> None:
    for number in range(100, 300 + LOAD_HALF_OPEN):
        with victim.stranger() as mallory:
            victim.send(mallory, victim.message1(number))
    with victim.stranger() as mallory:
        (reply,) = victim.exchange(mallory, victim.message1(1000))
        assert reply[0] == ControlType.COOKIE
        assert victim.ratio(victim.message1(1000), [reply]) < 0.1
        with_cookie = victim.liar(1000).flight1_with(CookieReply.decode(reply))
        assert victim.ratio(with_cookie, victim.exchange(mallory, with_cookie)) < BOUND
    assert victim.attack(with_cookie) < BOUND, "the same M1, from another address"
    assert victim.attack(victim.message1(1001)) < 0.1, "no cookie"


class Victim:
    """A node, and the host of somebody whom it does not know."""

    def __init__(self, node: LightNode, attacker: Host) -> None:
        self._address = str(node.host.ipv4), PORT
        self._attacker = attacker
        self._public = identity_file.load(Home(node.home), None).public

    def liar(self, number: int) -> LyingInitiator:
        return LyingInitiator(self._public, cid=number.to_bytes(CID_BYTES, "big"))

    def message1(self, number: int) -> tuple[bytes, ...]:
        return self.liar(number).flight1

    def stranger(self) -> socket.socket:
        """An address that the node has never heard of."""
        return self._attacker.socket()

    def attack(self, datagrams: Iterable[bytes]) -> float:
        """From an address of its own. How much comes back for each byte."""
        sent = tuple(datagrams)
        with self.stranger() as mallory:
            return self.ratio(sent, self.exchange(mallory, sent))

    def ask_again(self, number: int, *, padded: bool, together: bool) -> float:
        flight1 = self.message1(number)
        with self.stranger() as mallory:
            flight2 = self.exchange(mallory, flight1)
            flight = Fragment.decode(flight2[0]).flight
            asked = [tuple(range(flight.total))] if together else [(index,) for index in range(flight.total)]
            requests = [MissingRequest(flight, missing).encode(padded=padded) for missing in asked] * 5
            answers = self.exchange(mallory, requests)
        return self.ratio([*flight1, *requests], [*flight2, *answers])

    def forge_message3(self, number: int) -> float:
        flight1 = self.message1(number)
        with self.stranger() as mallory:
            flight2 = self.exchange(mallory, flight1)
            first = next(datagram for datagram in flight2 if Fragment.decode(datagram).index == 0)
            cid = first[HEADER_BYTES : HEADER_BYTES + CID_BYTES]
            flight3 = [*cut(3, cid, bytes(M3_BYTES)).datagrams, cut(3, cid, bytes([1]) * M3_BYTES).datagrams[0]]
            answers = self.exchange(mallory, flight3)
        return self.ratio([*flight1, *flight3], [*flight2, *answers])

    def exchange(self, mallory: socket.socket, datagrams: Sequence[bytes]) -> list[bytes]:
        """What comes back until nothing more does."""
        self.send(mallory, datagrams)
        mallory.settimeout(_SILENCE_S)
        answers = []
        while True:
            try:
                answers.append(mallory.recv(2048))
            except TimeoutError:
                return answers

    def send(self, mallory: socket.socket, datagrams: Iterable[bytes]) -> None:
        for datagram in datagrams:
            mallory.sendto(datagram, self._address)

    @staticmethod
    def ratio(sent: Sequence[bytes], received: Sequence[bytes]) -> float:
        return _wire_bytes(received) / _wire_bytes(sent)


def _wire_bytes(datagrams: Sequence[bytes]) -> int:
    return sum(len(datagram) + _HEADERS_BYTES for datagram in datagrams)

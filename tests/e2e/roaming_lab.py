"""Two real nodes behind NATs, what can happen to their networks, and numbered data that goes on meanwhile."""

from __future__ import annotations

import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from shadowmesh.demo.actors import Backbone, LightNode
from shadowmesh.lab.errors import LabError
from shadowmesh.lab.nat.internet import Internet
from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.plan import INTERNET_IPV4, INTERNET_IPV6
from shadowmesh.lab.nat.site import Site
from shadowmesh.lab.network import Network

INTERVAL_S = 0.02
STEADY_S = 3.0  # that long without a gap, and the flow has recovered
GAP_S = 0.15  # a busy machine makes smaller ones
_TCP_PORT, _UDP_PORT = 7001, 7002
_NUMBER = struct.Struct("!Q")
_POLL_S = 0.1
_CONNECT_S = 30.0


@dataclass
class Arrivals:
    """When numbered data came. `broken` says what was wrong with it."""

    times: list[float] = field(default_factory=list)
    count: int = 0
    broken: str = ""

    def recovered_s(self, since: float) -> float | None:
        """The end of the last gap after that moment; None while the flow is not steady again."""
        times = [since, *(at for at in list(self.times) if at > since)]
        late = [later for earlier, later in pairwise(times) if later - earlier > GAP_S]
        steady_since = late[-1] if late else since
        return steady_since - since if len(times) > 1 and times[-1] >= steady_since + STEADY_S else None


@dataclass
class Couple:
    """alice is at home and has LTE within reach; bob is far away."""

    alice: LightNode
    bob: LightNode
    home: Site
    lte: Site
    away: Site
    stream: Arrivals  # of one TCP connection, from alice to bob
    packets: Arrivals  # numbered datagrams from bob to alice, which are not answered


@dataclass(frozen=True)
class Change:
    """`act` returns when the network is as it stays; what it returns is when that began to be so."""

    name: str
    act: Callable[[Couple], float]
    noticed: bool  # by the node's own host


@contextmanager
def couple(folder: Path, *, far: NatKind = NatKind.PORT_RESTRICTED_STRICT) -> Iterator[Couple]:
    with ExitStack() as stack:
        network = stack.enter_context(Network(ipv4=INTERNET_IPV4, ipv6=INTERNET_IPV6, log_directory=folder / "logs"))
        internet = Internet(network)
        backbone = Backbone(internet.host("backbone"), folder / "backbone")
        backbone.start("--unlimited-from", "0.0.0.0/0")
        home = internet.site("home", NatKind.PORT_RESTRICTED_STRICT)
        lte = internet.site("lte", NatKind.CARRIER, hosts=0)
        away = internet.site("away", far)
        alice = LightNode(home.hosts[0], folder / "alice")
        bob = LightNode(away.hosts[0], folder / "bob")
        for node in (alice, bob):
            node.up("--backbone", backbone.pin)
            node.wait_online()
        alice.trust(bob)
        bob.trust(alice)
        alice.ping_through_tunnel(bob, within_s=30)
        stop = threading.Event()
        stream, packets = Arrivals(), Arrivals()
        threads = [*_stream(alice, bob, stream, stop, stack), *_packets(bob, alice, packets, stop, stack)]
        for thread in threads:
            thread.start()
        try:
            yield Couple(alice, bob, home, lte, away, stream, packets)
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def wait_recovered(flow: Arrivals, since: float, limit_s: float) -> float:
    """Seconds until the flow was steady again. Raises LabError."""
    deadline = time.monotonic() + limit_s
    while (recovered_s := flow.recovered_s(since)) is None:
        if flow.broken or time.monotonic() > deadline:
            raise LabError(flow.broken or f"nothing in a row within {limit_s} s; {flow.count} arrived in all")
        time.sleep(_POLL_S)
    return recovered_s


def _move(pair: Couple) -> float:
    began = time.monotonic()
    host = pair.alice.host
    pair.home.detach(host)
    pair.lte.attach(host)
    return began


def _second_uplink(pair: Couple) -> float:
    pair.lte.attach(pair.alice.host)
    time.sleep(3.0)  # both are there: nothing of it is to be measured
    began = time.monotonic()
    pair.alice.host.link_down("eth0")
    return began


def _address(pair: Couple) -> float:
    began = time.monotonic()
    pair.home.roam()
    return began


def _rebind_alice(pair: Couple) -> float:
    began = time.monotonic()
    pair.home.router.rebind()
    return began


def _rebind_bob(pair: Couple) -> float:
    began = time.monotonic()
    pair.away.router.rebind()
    return began


def _rebind_both(pair: Couple) -> float:
    began = time.monotonic()
    pair.home.router.rebind()
    pair.away.router.rebind()
    return began


def _outage(pair: Couple) -> float:
    pair.home.router.host.link_down("eth0")
    time.sleep(5.0)
    pair.home.router.host.link_up("eth0")
    return time.monotonic()


def _own_link(pair: Couple) -> float:
    pair.alice.host.link_down("eth0")
    time.sleep(5.0)
    pair.alice.host.link_up("eth0")
    return time.monotonic()


def _sleep(seconds: float) -> Callable[[Couple], float]:
    def act(pair: Couple) -> float:
        pair.alice.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        pair.alice.process.send_signal(signal.SIGCONT)
        return time.monotonic()

    return act


CHANGES = (
    Change("from Wi-Fi to LTE, another interface", _move, noticed=True),
    Change("Wi-Fi loses its carrier, LTE is there", _second_uplink, noticed=True),
    Change("own link down for 5 s", _own_link, noticed=True),
    Change("the router gets another address", _address, noticed=False),
    Change("NAT rebinding at who sends", _rebind_alice, noticed=False),
    Change("NAT rebinding at the far side", _rebind_bob, noticed=False),
    Change("NAT rebinding at both", _rebind_both, noticed=False),
    Change("uplink of the router down for 5 s", _outage, noticed=False),
    Change("stopped for 10 s", _sleep(10.0), noticed=True),
    Change("stopped for 65 s", _sleep(65.0), noticed=True),
)


def _stream(
    sender: LightNode, receiver: LightNode, arrivals: Arrivals, stop: threading.Event, stack: ExitStack
) -> list[threading.Thread]:
    listening = stack.enter_context(receiver.host.socket(socket.AF_INET6, socket.SOCK_STREAM))
    listening.bind((receiver.overlay_address, _TCP_PORT))
    listening.listen(1)
    sending = stack.enter_context(sender.host.socket(socket.AF_INET6, socket.SOCK_STREAM))
    sending.settimeout(_CONNECT_S)
    sending.connect((receiver.overlay_address, _TCP_PORT))
    receiving = stack.enter_context(listening.accept()[0])
    sending.settimeout(_POLL_S)
    receiving.settimeout(_POLL_S)

    def send() -> None:
        pending, number = b"", 0
        while not stop.wait(INTERVAL_S):
            pending += _NUMBER.pack(number)
            number += 1
            try:
                pending = pending[sending.send(pending) :]
            except TimeoutError:
                continue
            except OSError as error:
                arrivals.broken = f"the connection broke: {error}"
                return

    receive = threading.Thread(target=_receive_stream, args=(receiving, arrivals, stop))
    return [threading.Thread(target=send), receive]


def _receive_stream(receiving: socket.socket, arrivals: Arrivals, stop: threading.Event) -> None:
    held = b""
    while not stop.is_set():
        try:
            held += receiving.recv(65536)
        except TimeoutError:
            continue
        except OSError as error:
            arrivals.broken = f"the connection broke: {error}"
            return
        while len(held) >= _NUMBER.size:
            (number,) = _NUMBER.unpack_from(held)
            held = held[_NUMBER.size :]
            if number != arrivals.count:
                arrivals.broken = f"number {number} came instead of {arrivals.count}"
            arrivals.count += 1
        arrivals.times.append(time.monotonic())


def _packets(
    sender: LightNode, receiver: LightNode, arrivals: Arrivals, stop: threading.Event, stack: ExitStack
) -> list[threading.Thread]:
    sending = stack.enter_context(sender.host.socket(socket.AF_INET6))
    sending.setblocking(False)
    receiving = stack.enter_context(receiver.host.socket(socket.AF_INET6))
    receiving.bind((receiver.overlay_address, _UDP_PORT))
    receiving.settimeout(_POLL_S)

    def send() -> None:
        number = 0
        while not stop.wait(INTERVAL_S):
            number += 1
            try:
                sending.sendto(_NUMBER.pack(number), (receiver.overlay_address, _UDP_PORT))
            except OSError:
                continue  # there is no way at this moment

    def receive() -> None:
        while not stop.is_set():
            try:
                receiving.recv(64)
            except TimeoutError:
                continue
            arrivals.count += 1
            arrivals.times.append(time.monotonic())

    return [threading.Thread(target=send), threading.Thread(target=receive)]

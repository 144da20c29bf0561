"""Two nodes behind NATs, what can happen to their networks, and numbered data that goes on meanwhile."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from shadowmesh.lab.host import Host
from shadowmesh.lab.nat.internet import Internet
from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.plan import INTERNET_IPV4, INTERNET_IPV6
from shadowmesh.lab.nat.site import Site
from shadowmesh.lab.network import Network
from shadowmesh.lab.numbered_data import Arrivals, End, numbered_data
from shadowmesh.lab.process import Process

OUTAGE_S = 5.0


class Node(Protocol):
    """A program that carries packets for its host between overlay addresses."""

    @property
    def host(self) -> Host: ...
    @property
    def process(self) -> Process: ...
    @property
    def overlay_address(self) -> str: ...


@dataclass
class Couple:
    """alice is at home and has LTE within reach; bob is far away."""

    alice: Node
    bob: Node
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


# What it returns beside alice's node and bob's is its own matter.
StartNodes: TypeAlias = Callable[[tuple[Host, Host, Host]], tuple[Node, Node, object]]


@contextmanager
def couple(
    log_directory: Path, start: StartNodes, *, far: NatKind = NatKind.PORT_RESTRICTED_STRICT
) -> Iterator[Couple]:
    """`start` gets a host that everybody reaches, alice's and bob's, and returns when packets pass through the nodes.

    Raises OSError when no TCP connection comes about between them.
    """
    with Network(ipv4=INTERNET_IPV4, ipv6=INTERNET_IPV6, log_directory=log_directory) as network:
        internet = Internet(network)
        public = internet.host("backbone")
        home = internet.site("home", NatKind.PORT_RESTRICTED_STRICT)
        lte = internet.site("lte", NatKind.CARRIER, hosts=0)
        away = internet.site("away", far)
        alice, bob, _ = start((public, home.hosts[0], away.hosts[0]))
        near, far_end = (End(node.host.socket, node.overlay_address) for node in (alice, bob))
        with numbered_data(near, far_end) as (stream, packets):
            yield Couple(alice, bob, home, lte, away, stream, packets)


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
    time.sleep(OUTAGE_S)
    pair.home.router.host.link_up("eth0")
    return time.monotonic()


def _own_link(pair: Couple) -> float:
    pair.alice.host.link_down("eth0")
    time.sleep(OUTAGE_S)
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

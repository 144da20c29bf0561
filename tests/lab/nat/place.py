"""What the tests of the NAT lab share: an internet with observers, and threads to probe many sites at once."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from shadowmesh.lab.host import Host
from shadowmesh.lab.nat.internet import Internet
from shadowmesh.lab.nat.observer import Observers
from shadowmesh.lab.nat.plan import INTERNET_IPV4, INTERNET_IPV6
from shadowmesh.lab.nat.probe import Observation, hairpins, observe
from shadowmesh.lab.nat.punch import Party
from shadowmesh.lab.nat.site import Site
from shadowmesh.lab.network import Network

ResultT = TypeVar("ResultT")
ArgumentT = TypeVar("ArgumentT")

_THREADS = 8  # they wait for what does not arrive, and compute nothing


@dataclass(frozen=True)
class Place:
    """An internet, and two public hosts that observe."""

    network: Network
    internet: Internet
    watchers: tuple[Host, Host]

    def observers(self) -> Observers:
        return Observers([(watcher.socket, str(watcher.ipv4)) for watcher in self.watchers])

    def observers6(self) -> Observers:
        return Observers([(watcher.socket, str(watcher.ipv6)) for watcher in self.watchers])

    def observe(self, host: Host) -> Observation | None:
        with self.observers() as observers:
            return observe(host.socket, str(host.ipv4), observers)

    def observe6(self, host: Host) -> Observation | None:
        with self.observers6() as observers:
            return observe(host.socket, str(host.ipv6), observers)

    def hairpins(self, site: Site) -> bool:
        one, other = site.hosts[:2]
        with self.observers() as observers:
            return hairpins(one.socket, str(one.ipv4), other.socket, str(other.ipv4), observers)


@contextmanager
def place() -> Iterator[Place]:
    with Network(ipv4=INTERNET_IPV4, ipv6=INTERNET_IPV6) as network:
        internet = Internet(network)
        yield Place(network, internet, (internet.host("watcher-1"), internet.host("watcher-2")))


def at_once(function: Callable[[ArgumentT], ResultT], arguments: Sequence[ArgumentT]) -> list[ResultT]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(function, arguments))


def party(host: Host) -> Party:
    return Party(host.socket, str(host.ipv4))


def label(kind: object) -> str:
    """What a site of the kind is called."""
    return str(getattr(kind, "name", kind)).lower().replace("_", "-")

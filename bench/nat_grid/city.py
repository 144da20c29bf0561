"""An internet with two nodes in each kind of place, and who is to meet whom in which round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.nat_grid.meeting import Meeting, Party, meet
from bench.nat_grid.nodes import Node, start_backbones, wait_until
from bench.nat_grid.places import Place, PlaceKind, expected
from bench.nat_grid.report import Result

from shadowmesh.lab.nat.internet import Internet
from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.plan import INTERNET_IPV4, INTERNET_IPV6
from shadowmesh.lab.nat.theory import Method
from shadowmesh.lab.network import Network

_STARTS_AT_ONCE = 4  # each takes half a second of a core
_CLASSIFY_S = 8.0  # the tests of filtering are given up by then, also where nothing comes back


class City:
    """Made by `city`."""

    def __init__(self, internet: Internet, folder: Path) -> None:
        self._internet = internet
        self._folder = folder
        self._backbone = start_backbones(internet, folder)
        self._parties: list[Party] = []

    def settle(self, kind: PlaceKind, name: str) -> Party:
        """A node in a place of its own; it does not run yet."""
        return self._move_in(kind.name, kind.build(self._internet, name), name)

    def neighbours(self) -> Meeting:
        """Two hosts behind one symmetric NAT: the local network alone joins them."""
        site = self._internet.site("flat", NatKind.SYMMETRIC, hosts=2)
        near, far = (self._move_in("one home", Place(host, (site.router,)), host.name) for host in site.hosts)
        return Meeting(near, far, Method.PLAIN, "one home, two hosts")

    def subscribers(self, *, hairpin: bool) -> Meeting:
        """Two homes of one carrier, which must turn back what its subscribers send to each other."""
        name = "turning" if hairpin else "straight"
        carrier = self._internet.carrier(name, hairpin=hairpin)
        homes = [self._internet.site(f"{name}-{number}", behind=carrier) for number in (1, 2)]
        near, far = (
            self._move_in(f"{name} carrier", Place(home.hosts[0], (home.router, carrier.router)), home.hosts[0].name)
            for home in homes
        )
        expectation = Method.PLAIN if hairpin else Method.NEVER
        return Meeting(near, far, expectation, f"one carrier, {'' if hairpin else 'no '}hairpin")

    def wake(self) -> None:
        """Starts all nodes, and waits until each is online and has had the time to learn what its NAT does."""
        with ThreadPoolExecutor(_STARTS_AT_ONCE) as pool:
            list(pool.map(self._start, self._parties))
        wait_until(lambda: min(self._uptimes()) >= _CLASSIFY_S, _CLASSIFY_S)

    def delay(self, delay_ms: float) -> None:
        """What each place sends arrives so much later."""
        for party in self._parties:
            edge = party.place.routers[-1].host if party.place.routers else party.node.host
            edge.impair(delay_ms=delay_ms)

    def _move_in(self, kind: str, place: Place, name: str) -> Party:
        party = Party(kind, Node(place.host, self._folder / name), place)
        self._parties.append(party)
        return party

    def _start(self, party: Party) -> None:
        party.node.start(self._backbone)
        party.node.wait_online()

    def _uptimes(self) -> list[float]:
        return [party.node.status().uptime_s for party in self._parties]


@contextmanager
def city(log_directory: Path | None = None) -> Iterator[City]:
    # Paths of sockets are short: the default folder of temporary files may be a long one.
    with (
        TemporaryDirectory(prefix="grid-", dir="/tmp") as folder,
        Network(ipv4=INTERNET_IPV4, ipv6=INTERNET_IPV6, log_directory=log_directory) as network,
    ):
        yield City(Internet(network), Path(folder))


def all_meet(meetings: Sequence[Meeting]) -> list[Result]:
    """At the same time."""
    with ThreadPoolExecutor(len(meetings)) as pool:
        return [Result(meeting, outcome) for meeting, outcome in zip(meetings, pool.map(meet, meetings), strict=True)]


def rounds(kinds: Sequence[PlaceKind], near: Sequence[Party], far: Sequence[Party]) -> Iterator[list[Meeting]]:
    """Every pair of kinds once, so that in a round each node meets one other.

    `near` and `far`: a party of each kind, in the order of `kinds`.
    """
    count = len(kinds)
    for distance in range(count // 2 + 1):
        # At half the way round each pair would come twice.
        firsts = range(count // 2 if 2 * distance == count else count)
        pairs = [(first, (first + distance) % count) for first in firsts]
        yield [Meeting(near[a], far[b], expected(kinds[a], kinds[b])) for a, b in pairs]

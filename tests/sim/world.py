"""The simulated world: hosts, backbone nodes, a network, and virtual time that jumps from deadline to deadline."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import cache

from tests.sim.address_plan import AddressPlan
from tests.sim.backbone import Registry, SimBackbone, sign_directory
from tests.sim.chance import SeededEntropy
from tests.sim.host import Host
from tests.sim.nat.behaviour import FIREWALL, Nat
from tests.sim.nat.box import NatBox
from tests.sim.network import VirtualNetwork
from tests.sim.site import Link, Site
from tests.sim.timeline import START, Timeline

from shadowmesh.identity.keys import Identity
from shadowmesh.mesh.state import MeshConfig
from shadowmesh.records.peer_record import Mode

WALL_START = 1_800_000_000.0
_LAST_STEPS = 60
_MAX_STEPS = 2_000_000
_ECHO_WAIT_S = 0.5


class World:
    def __init__(self, seed: int = 1, *, backbones: int = 1, stun_addresses: int = 1, stun_ipv6: bool = False) -> None:
        """`stun_addresses`: of each backbone node, two ports on each. `stun_ipv6`: one more, of IPv6."""
        self.seed = seed
        self.timeline = Timeline()
        self.network = VirtualNetwork(self.timeline, SeededEntropy(seed, "network"))
        self._plan = AddressPlan(self.network.internet)
        self.sites: list[Site] = []
        self.hosts: dict[str, Host] = {}
        self.registry = Registry()
        self.backbones = [self._backbone(index, stun_addresses, ipv6=stun_ipv6) for index in range(backbones)]
        self._steps: deque[str] = deque(maxlen=_LAST_STEPS)
        if self.backbones:
            sign_directory(self.backbones, 1, self.wall())

    @property
    def now(self) -> float:
        return self.timeline.now

    @property
    def elapsed_s(self) -> float:
        return self.timeline.now - START

    @property
    def backbone(self) -> SimBackbone:
        return self.backbones[0]

    def wall(self) -> float:
        return WALL_START + self.timeline.now - START

    def host(
        self,
        name: str,
        *,
        mode: Mode = Mode.PRIVATE,
        capabilities: int = 0,
        pins: Iterable[SimBackbone] | None = None,
        nat: Nat | None = None,
        site: Site | None = None,
        ipv6: bool = False,
    ) -> Host:
        """Not started yet. `pins`: the first backbone node unless given. `nat`: a site of its own behind such a box."""
        pinned = self.backbones[:1] if pins is None else list(pins)
        if nat is not None:
            site = self.site(nat, behind=site)
        site = site or self.network.internet
        host = Host(
            name,
            identity_number(len(self.hosts) + 1),
            self._plan.host(site, ipv6=ipv6),
            site=site,
            config=MeshConfig(tuple(backbone.pin for backbone in pinned), mode, capabilities=capabilities),
            timeline=self.timeline,
            network=self.network,
            backbones={backbone.url: backbone for backbone in self.backbones},
            chance=SeededEntropy(self.seed, name),
            wall=self.wall,
            log=self._steps.append,
        )
        self.hosts[name] = host
        return host

    def site(
        self,
        nat: Nat | None,
        *,
        ipv6: Nat | None = FIREWALL,
        behind: Site | None = None,
        link: Link | None = None,
        lan: str | None = None,
    ) -> Site:
        """A LAN behind a box for each IP version, or behind none; `behind` a carrier's, or at the internet.

        `lan`: the /24 of its private addresses; each site has its own unless given.
        """
        parent = behind or self.network.internet
        number = len(self.sites)
        boxes = {
            version: NatBox(behaviour, self._plan.outside(parent, behaviour), SeededEntropy(self.seed, number, version))
            for version, behaviour in ((4, nat), (6, ipv6))
            if behaviour is not None
        }
        site = Site(parent, boxes, link=link)
        self._plan.add(site, lan)
        self.sites.append(site)
        return site

    def move(self, host: Host, site: Site | None = None) -> None:
        """To another site, or to the internet itself; the host notices, and connects to the backbone anew."""
        ipv6 = len(host.addresses) > 1
        site = site or self.network.internet
        host.move(*self._plan.host(site, ipv6=ipv6), site=site)

    def pair(self, capabilities: int = 0, *, nats: tuple[Nat | None, Nat | None] = (None, None)) -> tuple[Host, Host]:
        """Two hosts that trust each other, not started yet."""
        alice = self.host("alice", capabilities=capabilities, nat=nats[0])
        bob = self.host("bob", capabilities=capabilities, nat=nats[1])
        alice.trust(bob)
        bob.trust(alice)
        return alice, bob

    def run_until(self, condition: Callable[[], bool], limit_s: float) -> None:
        """Fails when the condition does not hold within the limit."""
        end = self.now + limit_s
        for _ in range(_MAX_STEPS):
            if condition():
                return
            at = self._next_at()
            if at is None or at > end:
                raise AssertionError(self._explain(f"not within {limit_s} s"))
            self._step(at)
        raise AssertionError(self._explain("the world does not come to rest"))

    def run_for(self, duration_s: float) -> None:
        end = self.now + duration_s
        for _ in range(_MAX_STEPS):
            at = self._next_at()
            if at is None or at > end:
                self.timeline.now = end
                return
            self._step(at)
        raise AssertionError(self._explain("the world does not come to rest"))

    def would_pass(self, a: Host, b: Host) -> bool:
        """Both engines have the other with one PSK, each at the other's present endpoint, and both nodes say so."""
        if a.engine is None or b.engine is None or not a.engine.would_pass(b.engine):
            return False
        paths = a.engine.paths[b.engine.public_key] == b.endpoint and b.engine.paths[a.engine.public_key] == a.endpoint
        return paths and a.is_connected(b) and b.is_connected(a)

    def data_flows(self, a: Host, b: Host, limit_s: float = 5.0) -> bool:
        """Packets of the engines pass the network and its boxes, each way and back. Time goes on meanwhile."""
        return self._is_answered(a, b, limit_s) and self._is_answered(b, a, limit_s)

    def _is_answered(self, a: Host, b: Host, limit_s: float) -> bool:
        before, end = a.echoes_from(b), self.now + limit_s
        while self.now < end:
            a.send_data(b)
            self.run_for(_ECHO_WAIT_S)
            a.report_traffic()
            b.report_traffic()
            if a.echoes_from(b) > before:
                return True
        return False

    def _step(self, at: float) -> None:
        self.timeline.now = max(self.timeline.now, at)
        self.timeline.run_due()
        for host in self.hosts.values():
            if host.deadline is not None and host.deadline <= self.now:
                host.handle_timeout()

    def _next_at(self) -> float | None:
        first = self.timeline.next_at()
        for host in self.hosts.values():
            if host.deadline is not None and (first is None or host.deadline < first):
                first = host.deadline
        return first

    def _backbone(self, index: int, stun_addresses: int, *, ipv6: bool) -> SimBackbone:
        url = f"https://backbone{index}.example"
        chance = SeededEntropy(self.seed, url)
        backbone = SimBackbone(identity_number(1000 + index), url, self.registry, self.timeline, self.wall, chance)
        addresses = [f"198.19.{number}.{index + 1}" for number in range(stun_addresses)]
        backbone.listen(self.network, *addresses, *([f"2001:db8:ffff::{index + 1}"] if ipv6 else []))
        return backbone

    def _explain(self, what: str) -> str:
        steps = "\n".join(self._steps)
        states = "\n".join(
            f"  {host.name}: {host.machine.link()} {[str(peer) for peer in host.machine.peers()][:4]}"
            for host in self.hosts.values()
            if host.mesh is not None
        )
        return f"{what}; seed {self.seed}, {self.elapsed_s:.3f} s after the start\n{steps}\nnow:\n{states}"


@cache
def identity_number(number: int) -> Identity:
    """Always the same key for the same number."""
    return Identity(SeededEntropy("identity", number)(32))

"""The simulated world: hosts, backbone nodes, a network, and virtual time that jumps from deadline to deadline."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from tests.sim.backbone import Registry, SimBackbone, sign_directory
from tests.sim.chance import SeededEntropy
from tests.sim.host import Host
from tests.sim.network import VirtualNetwork
from tests.sim.timeline import START, Timeline

from shadowmesh.identity.keys import Identity
from shadowmesh.mesh.state import MeshConfig
from shadowmesh.records.peer_record import Mode

WALL_START = 1_800_000_000.0
_LAST_STEPS = 60
_MAX_STEPS = 2_000_000


class World:
    def __init__(self, seed: int = 1, *, backbones: int = 1) -> None:
        self.seed = seed
        self.timeline = Timeline()
        self.network = VirtualNetwork(self.timeline, SeededEntropy(seed, "network"))
        self.hosts: dict[str, Host] = {}
        self.registry = Registry()
        self.backbones = [self._backbone(index) for index in range(backbones)]
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
    ) -> Host:
        """Not started yet. `pins`: the first backbone node unless given."""
        pinned = self.backbones[:1] if pins is None else list(pins)
        index = len(self.hosts) + 1
        host = Host(
            name,
            identity_number(index),
            f"198.18.{index // 250}.{index % 250 + 1}",
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

    def pair(self, capabilities: int = 0) -> tuple[Host, Host]:
        """Two hosts that trust each other, not started yet."""
        alice, bob = (self.host(name, capabilities=capabilities) for name in ("alice", "bob"))
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

    def _step(self, at: float) -> None:
        self.timeline.now = max(self.timeline.now, at)
        self.timeline.run_due()
        for host in self.hosts.values():
            if host.deadline is not None and host.deadline <= self.now:
                host.handle_timeout()

    def _next_at(self) -> float | None:
        deadlines = [host.deadline for host in self.hosts.values()]
        deadlines.append(self.timeline.next_at())
        return min((at for at in deadlines if at is not None), default=None)

    def _backbone(self, index: int) -> SimBackbone:
        url = f"https://backbone{index}.example"
        backbone = SimBackbone(identity_number(1000 + index), url, self.registry, self.timeline, self.wall)
        backbone.listen(self.network, f"198.19.0.{index + 1}")
        return backbone

    def _explain(self, what: str) -> str:
        steps = "\n".join(self._steps)
        states = "\n".join(
            f"  {host.name}: {host.machine.link()} {[str(peer) for peer in host.machine.peers()][:4]}"
            for host in self.hosts.values()
            if host.mesh is not None
        )
        return f"{what}; seed {self.seed}, {self.elapsed_s:.3f} s after the start\n{steps}\nnow:\n{states}"


def identity_number(number: int) -> Identity:
    """Always the same key for the same number."""
    return Identity(SeededEntropy("identity", number)(32))

"""A host of the simulation: the real `Mesh`, driven as the shell drives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from tests.sim.backbone import Client, SimBackbone
from tests.sim.chance import SeededEntropy
from tests.sim.engine import SimEngine
from tests.sim.network import VirtualNetwork
from tests.sim.site import Site
from tests.sim.timeline import Timeline

from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import PeerID
from shadowmesh.mesh import own_record
from shadowmesh.mesh.machine import Mesh
from shadowmesh.mesh.outputs import (
    ClosePorts,
    ConnectFailed,
    FetchDirectory,
    InstallPeer,
    LeaveBackbone,
    LogIn,
    LookUp,
    OpenPorts,
    OpenUpdates,
    Output,
    PathIsNarrow,
    PublishRecord,
    RemovePeer,
    Renew,
    SaveRecord,
    SaveState,
    SendUpdate,
    SetPath,
)
from shadowmesh.mesh.state import MeshConfig, PeerState, PeerStatus, SavedState, TrustedPeer
from shadowmesh.paths.lan.discovery import Announce
from shadowmesh.session.events import CookiesDemanded
from shadowmesh.session.macs import GateKeys
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.first_byte import DatagramKind, classify
from shadowmesh.wire.open_ids import CloseId, OpenId
from shadowmesh.wire.transmit import Transmit

PORT = 41641
FIRST_EXTRA_PORT = 50_000
_MAPPED_AFTER_S = 0.3  # PCP and NAT-PMP answer sooner, UPnP later
_MAX_OUTPUTS = 2000  # that one input may cause


class Host:
    """`disk` is what the last SaveState wrote; a killed host starts again from it."""

    def __init__(
        self,
        name: str,
        identity: Identity,
        addresses: Sequence[str],
        *,
        site: Site,
        config: MeshConfig,
        timeline: Timeline,
        network: VirtualNetwork,
        backbones: dict[str, SimBackbone],
        chance: SeededEntropy,
        wall: Callable[[], float],
        log: Callable[[str], None],
    ) -> None:
        self.name = name
        self.identity = identity
        self.addresses = tuple(addresses)
        self.site = site
        self.plugged = True
        self.asleep = False
        self.config = config
        self.disk = SavedState()
        self.wall_offset_s = 0.0
        self.outputs: list[Output] = []
        self.deadline: float | None = None
        self.mesh: Mesh | None = None
        self.engine: SimEngine | None = None
        self.extra_ports: set[int] = set()  # open besides the main one
        self.maps_port = False  # by its router, as it does at each start
        self._next_port = FIRST_EXTRA_PORT
        self._timeline = timeline
        self._network = network
        self._backbones = backbones
        self._backbone: SimBackbone | None = None
        self._client: Client | None = None
        self._chance = chance
        self._wall = wall
        self._log = log

    @property
    def peer_id(self) -> PeerID:
        return self.identity.peer_id

    @property
    def address(self) -> str:
        return self.addresses[0]

    @property
    def endpoint(self) -> Endpoint:
        return _endpoint(self.address, PORT)

    @property
    def endpoints(self) -> list[Endpoint]:
        """None while the host's own link is down."""
        return self._endpoints_of(0)

    @property
    def is_online(self) -> bool:
        """Whether the host reaches the internet by TCP: no box here stops it."""
        site: Site | None = self.site
        up = self.plugged
        while site is not None:
            up, site = up and site.link.up, site.parent
        return up

    @property
    def wireguard_key(self) -> bytes:
        """Also while it is not running."""
        private_key = X25519PrivateKey.from_private_bytes(self.identity.derive(own_record.WIREGUARD_LABEL))
        return private_key.public_key().public_bytes_raw()

    @property
    def machine(self) -> Mesh:
        assert self.mesh is not None, f"{self.name} is not running"
        return self.mesh

    def start(self) -> None:
        now = self._timeline.now
        self.mesh = Mesh(
            self.identity, self.config, self.disk, entropy=self._chance, wall_clock=self.wall_clock, now=now
        )
        gate_keys = GateKeys.of(self.identity.public)
        self.engine = SimEngine(self.mesh.own_record.record.wireguard_key, gate_keys, self._send)
        self._attach()
        self.drain()
        self.feed(lambda mesh, now: mesh.local_endpoints_changed(self.endpoints, now))
        if self.maps_port:
            self._timeline.after(_MAPPED_AFTER_S, self._map_port)

    def wall_clock(self) -> float:
        return self._wall() + self.wall_offset_s

    def kill(self) -> None:
        """As by SIGKILL, and the connection to the backbone breaks."""
        self._detach()
        self.extra_ports.clear()
        self.mesh = self.engine = None
        self.deadline = None
        self._leave()

    def restart(self) -> None:
        if self.mesh is not None:
            self.kill()
        self.start()

    def move(self, *addresses: str, site: Site | None = None) -> None:
        """To another network: a site, or the internet. The connection to the backbone outlives it."""
        self._detach()
        self.addresses = addresses
        self.site = site or self._network.internet
        self._attach()
        self.feed(lambda mesh, now: mesh.local_endpoints_changed(self.endpoints, now))

    def unplug(self) -> None:
        """The host's own link goes down, which it notices; its connection to the backbone breaks."""
        self._detach()
        self.plugged = False
        self.feed(lambda mesh, now: mesh.local_endpoints_changed([], now))
        self.break_signalling()

    def plug(self) -> None:
        self.plugged = True
        self._attach()
        self.feed(lambda mesh, now: mesh.local_endpoints_changed(self.endpoints, now))

    def sleep(self) -> None:
        """The machine is suspended: it hears and does nothing, and its connection to the backbone breaks."""
        self._detach()
        self.asleep, self.deadline = True, None
        self.break_signalling()

    def wake(self, slept_s: float) -> None:
        self.asleep = False
        self._attach()
        self.handle_timeout()
        self.feed(lambda mesh, now: mesh.woke(slept_s, now))

    def break_signalling(self) -> None:
        """The WebSocket to the backbone breaks."""
        if self._backbone is not None and self._client is not None:
            self._backbone.reset(self._client)

    def trust(self, *others: Host) -> None:
        """Before or after the start."""
        for other in others:
            peer = TrustedPeer(other.identity.fingerprint, other.name)
            if self.mesh is None:
                self.disk = SavedState(trusted=(*self.disk.trusted, peer))
            else:
                self.feed(lambda mesh, now, peer=peer: mesh.trust(peer, now))  # type: ignore[misc]

    def connect(self, other: Host) -> None:
        self.feed(lambda mesh, now: mesh.connect(other.peer_id, now))

    def send_packet_to(self, other: Host) -> None:
        """What the engine does with a packet for an address that no installed peer has."""
        assert self.engine is not None
        prefix = f"{other.peer_id.overlay_address}/128"
        if not any(prefix in peer.allowed_ips for peer in self.engine.peers.values()):
            self.feed(lambda mesh, now: mesh.packet_unrouted(other.peer_id.overlay_address, now))

    def send_data(self, other: Host) -> None:
        """A packet of the engine, to be answered by the other's."""
        if self.engine is not None and other.engine is not None:
            self.engine.send_packet(other.engine.public_key)

    def echoes_from(self, other: Host) -> int:
        if self.engine is None or other.engine is None:
            return 0
        return self.engine.echoes(other.engine.public_key)

    def traffic_with(self, other: Host) -> None:
        """Packets have passed, both ways, and the shell says so."""
        if self.engine is not None:
            self.engine.count(other.wireguard_key, rx_bytes=1000, tx_bytes=1000)
            self.report_traffic()

    def report_traffic(self) -> None:
        """As the shell does, every half second."""
        if self.engine is not None:
            for key, (rx_bytes, tx_bytes) in list(self.engine.counters.items()):
                self.feed(lambda mesh, now, key=key, rx=rx_bytes, tx=tx_bytes: mesh.traffic(key, rx, tx, now))  # type: ignore[misc]

    def status(self, other: Host) -> PeerStatus:
        return next(status for status in self.machine.peers() if status.peer == other.peer_id)

    def is_connected(self, other: Host) -> bool:
        return self.mesh is not None and self.status(other).state is PeerState.CONNECTED

    def failures(self) -> list[str]:
        return [output.reason for output in self.outputs if isinstance(output, ConnectFailed)]

    def feed(self, act: Callable[[Mesh, float], None]) -> None:
        if self.mesh is not None and not self.asleep:
            act(self.mesh, self._timeline.now)
            self.drain()

    def handle_timeout(self) -> None:
        self.feed(lambda mesh, now: mesh.handle_timeout(now))
        if self.deadline is not None and self.deadline <= self._timeline.now:
            raise AssertionError(
                f"{self.name}: still due at {self.deadline} after handle_timeout({self._timeline.now})"
            )

    def drain(self) -> None:
        for _ in range(_MAX_OUTPUTS):
            output = self.machine.poll()
            if output is None:
                self.deadline = self.machine.next_timeout()
                return
            self._obey(output)
        raise AssertionError(f"{self.name}: more than {_MAX_OUTPUTS} outputs for one input")

    def _obey(self, output: Output) -> None:
        if not isinstance(output, Transmit | OpenId | CloseId):
            self.outputs.append(output)
            self._log(f"{self._timeline.now - 1000:10.3f} {self.name}: {output}")
        assert self.engine is not None
        match output:
            case Transmit() | OpenPorts() | ClosePorts() | InstallPeer() | SetPath() | PathIsNarrow() | RemovePeer():
                self._move_packets(output, self.engine)
            case OpenId() | CloseId() | CookiesDemanded():
                self.engine.tell_gate(output)
            case Announce(payload=payload):
                self._announce(payload)
            case SaveState() | SaveRecord():
                self.disk = self.machine.saved_state()
            case LeaveBackbone():
                self._leave()
            case LogIn():
                self._leave()
                self._backbone = self._backbones[output.url]
                self._client = Client(self.peer_id, self._feed_of_this_link(), lambda: self.is_online)
                self._backbone.log_in(output, self._client)
            case _ if self._backbone is not None and self._client is not None:
                self._ask(output, self._backbone, self._client)

    def _move_packets(self, output: Output, engine: SimEngine) -> None:
        match output:
            case Transmit(payload=payload, destination=destination, via=via):
                self._send(payload, destination, via or 0)
            case OpenPorts(peer=peer, count=count):
                opened = self._open_ports(count)
                self.feed(lambda mesh, now: mesh.ports_opened(peer, opened, now))
            case ClosePorts(ports=ports):
                self._close_ports(ports)
            case InstallPeer():
                engine.install(output)
            case PathIsNarrow():
                pass  # of the kernel's routes, which are not modelled
            case SetPath():
                engine.set_path(output)
            case RemovePeer():
                engine.remove(output)

    def _ask(self, output: Output, backbone: SimBackbone, client: Client) -> None:
        match output:
            case Renew():
                backbone.renew(output, client)
            case FetchDirectory():
                backbone.fetch_directory(output, client)
            case PublishRecord():
                backbone.publish(output, client)
            case LookUp():
                backbone.look_up(output, client)
            case OpenUpdates():
                backbone.open_updates(output, client)
            case SendUpdate(message=message):
                backbone.receive(message, client)

    def _feed_of_this_link(self) -> Callable[[Callable[[Mesh, float], None]], None]:
        """What the shell of one process hears of one link: nothing after it was left."""
        mesh = self.mesh
        link = object()
        self._link = link

        def feed(act: Callable[[Mesh, float], None]) -> None:
            if self.mesh is mesh and self._link is link:
                self.feed(act)

        return feed

    def _leave(self) -> None:
        if self._backbone is not None:
            self._backbone.leave(self.peer_id)
        self._backbone = self._client = None
        self._link = None

    def _map_port(self) -> None:
        """What the port mapper of a real node does, whose protocols have tests of their own."""
        outside = self.site.boxes[4].forward(self.endpoint)
        self.feed(lambda mesh, now: mesh.mapping_changed(outside, now))

    def _attach(self) -> None:
        for via in (0, *sorted(self.extra_ports)):
            self._attach_port(via)
        self.site.join(self.name, self._hear_announcement)

    def _attach_port(self, via: int) -> None:
        for endpoint in self._endpoints_of(via):
            self.site.attach(endpoint, lambda data, source: self._receive(data, source, via))

    def _detach(self) -> None:
        for via in (0, *sorted(self.extra_ports)):
            self._detach_port(via)
        self.site.leave(self.name)

    def _detach_port(self, via: int) -> None:
        for endpoint in self._endpoints_of(via):
            self.site.detach(endpoint)

    def _endpoints_of(self, via: int) -> list[Endpoint]:
        return [_endpoint(address, via or PORT) for address in self.addresses] if self.plugged else []

    def _open_ports(self, count: int) -> list[int]:
        opened = list(range(self._next_port, self._next_port + count))
        self._next_port += count
        for via in opened:
            self.extra_ports.add(via)
            self._attach_port(via)
        return opened

    def _close_ports(self, ports: Sequence[int]) -> None:
        for via in ports:
            self._detach_port(via)
            self.extra_ports.discard(via)

    def _send(self, payload: bytes, destination: Endpoint, via: int) -> None:
        """From the address of the destination's family; a host without one has no route."""
        if via and via not in self.extra_ports:
            return
        for source in self._endpoints_of(via):
            if source.address.version == destination.address.version:
                self._network.send(payload, source, destination, self.site)
                return

    def _announce(self, payload: bytes) -> None:
        """From each address, to all who listen on the same network; the internet has no multicast."""
        for source in self.endpoints if self.site.parent is not None else []:
            self._network.multicast(payload, source, self.site)

    def _hear_announcement(self, data: bytes, source: Endpoint) -> None:
        self.feed(lambda mesh, now: mesh.announcement_received(data, source, now))

    def _receive(self, data: bytes, source: Endpoint, via: int) -> None:
        if self.engine is None:
            return
        if classify(data) is not DatagramKind.WIREGUARD:
            if self.engine.hands_up(data, source, via):
                self.feed(lambda mesh, now: mesh.receive_datagram(data, source, now, via))
        else:
            roamed = self.engine.receive_datagram(data, source)
            if roamed is not None:
                self.feed(lambda mesh, now: mesh.peer_roamed(roamed, source, now))


@lru_cache(maxsize=4096)
def _endpoint(address: str, port: int) -> Endpoint:
    """Asked for at each packet."""
    return Endpoint.of(address, port)

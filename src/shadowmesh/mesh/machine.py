"""One light node as one machine: it owns the others, and translates what comes out of each into what the next needs.

Spec: docs/spec/mesh.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from logging import ERROR

from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.queries import HAVE_BYTES
from shadowmesh.backbone_protocol.updates import (
    MAX_SUBSCRIPTIONS,
    DirectoryChanged,
    ServerMessage,
    SetHints,
    Subscribe,
    Unsubscribe,
)
from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.mesh.backbone_link import BackboneLink, LinkOutput
from shadowmesh.mesh.connector import Connector, ConnectorOutput
from shadowmesh.mesh.connector_events import AttemptFailed, LinkView, RecordNeeded
from shadowmesh.mesh.errors import NotTrusted
from shadowmesh.mesh.finder import Finder, FinderOutput, Found, KeysChanged
from shadowmesh.mesh.known_peers import KnownPeers
from shadowmesh.mesh.link_events import DirectoryAccepted, LinkChanged, RecordOutrun, UpdatesOpened
from shadowmesh.mesh.outlet import Outlet
from shadowmesh.mesh.outputs import (
    ClosePorts,
    ConnectFailed,
    LookedUp,
    Notice,
    OpenPorts,
    Output,
    PeerConnected,
    PeerDisconnected,
    Ponged,
    SaveRecord,
    SaveState,
)
from shadowmesh.mesh.own_record import OwnRecord
from shadowmesh.mesh.presence import EndpointsChanged, OwnPresence, PresenceOutput, RecordRenewed
from shadowmesh.mesh.saving import SaveSchedule
from shadowmesh.mesh.state import LinkStatus, MeshConfig, PeerStatus, SavedState, TrustedPeer
from shadowmesh.mesh.status import merge_drops, peer_status
from shadowmesh.mesh.trust import TrustList
from shadowmesh.mesh.tunnels import KeyInUse, SessionOld, TunnelLost, TunnelMoved, TunnelOutput, Tunnels
from shadowmesh.paths.events import PathFound, PortLearnt, PortsReleased, PortsWanted
from shadowmesh.paths.puncher import Puncher
from shadowmesh.records.hints import Hints
from shadowmesh.records.peer_record import Mode, RecordRefused, SignedRecord
from shadowmesh.session.events import PeerAuthenticated, SessionEstablished
from shadowmesh.session.handshaker import DATAGRAM_TYPES, Handshaker
from shadowmesh.wire.clock import WallClock
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.first_byte import DatagramKind, classify

MAX_WAITING_PINGS = 16  # of one peer, until it is connected
_MAX_PASSES = 8  # of handle_timeout: what falls due because of what was due


class Mesh:
    """After each call: drain `poll()` and obey what comes out in its order, then read `next_timeout()`."""

    def __init__(
        self,
        identity: Identity,
        config: MeshConfig,
        saved: SavedState,
        *,
        entropy: Entropy,
        wall_clock: WallClock,
        now: float,
    ) -> None:
        """Begins to log in, and to connect to the trusted peers that the cache knows."""
        self._identity = identity
        self._out = Outlet()
        self._drops: Counter[str] = Counter()
        self._saving = SaveSchedule()
        self._waiting_pings: dict[PeerID, list[int]] = {}
        self._own_record = OwnRecord(identity, config, saved.record_sequence, wall_clock=wall_clock, now=now)
        self._trust = TrustList(identity.fingerprint, saved.trusted)
        self._known = KnownPeers(self._trust, saved.cache, saved.records, wall_clock=wall_clock)
        self._link = BackboneLink(config, saved.directory, entropy=entropy, wall_clock=wall_clock, now=now)
        self._finder = Finder(self._known)
        self._presence = OwnPresence(self._own_record, public=config.mode is Mode.PUBLIC, entropy=entropy)
        self._tunnels = Tunnels(identity.peer_id, self._own_record.wireguard_key, entropy=entropy)
        handshaker = Handshaker(identity, self._own_record.record, entropy=entropy, wall_clock=wall_clock, now=now)
        puncher = Puncher(identity.peer_id, entropy=entropy)
        self._connector = Connector(self._known, handshaker, puncher, entropy=entropy, now=now)
        for peer in self._trust.all():
            self._connector.add(peer)
        self._save(now)  # the record's sequence number, before the record is used
        for refused, error in self._trust.refused:
            self._notice(ERROR, f"the saved trust in {refused.fingerprint} is ignored: {error}")
        self._link.publish(self._own_record.record, now)
        self._presence.set_servers(self._link.stun_servers, now)
        self._link.start(now)
        self._tell_link(now)
        self._connector.start(now)
        self._drain(now)

    # What a node is.

    @property
    def wireguard_private_key(self) -> bytes:
        return self._own_record.wireguard_private_key

    @property
    def overlay_address(self) -> IPv6Address:
        return self._identity.peer_id.overlay_address

    @property
    def own_record(self) -> SignedRecord:
        return self._own_record.record

    def saved_state(self) -> SavedState:
        return SavedState(
            trusted=self._trust.all(),
            cache=tuple(self._known.cache),
            record_sequence=self._own_record.sequence,
            directory=self._link.directory,
            records=self._known.records(),
        )

    def trusted(self) -> tuple[TrustedPeer, ...]:
        return self._trust.all()

    def peers(self) -> list[PeerStatus]:
        return [
            peer_status(peer, self._connector.get(peer.fingerprint.peer_id), self._tunnels)
            for peer in self._trust.all()
        ]

    def link(self) -> LinkStatus:
        return self._link.status(self._presence.reflexive)

    @property
    def drops(self) -> Mapping[str, int]:
        """How often something was ignored, by reason, over all parts."""
        parts = [self._drops, self._connector.drops, self._tunnels.drops, self._presence.drops, self._link.drops]
        return merge_drops(parts, self._connector.handshaker.drops)

    # From the engine.

    def receive_datagram(self, data: bytes, source: Endpoint, now: float, via: int = 0) -> None:
        """A datagram that is neither WireGuard's nor a relay's. `via`: the local port that it came to, 0 for the main
        one. Never raises; see `drops`."""
        match classify(data):
            case DatagramKind.STUN:
                self._presence.receive_stun(data, source, via, now)
            case DatagramKind.CONTROL if self._connector.takes_probe(data):
                self._connector.receive_probe(data, source, via, now)
            case DatagramKind.CONTROL if self._tunnels.takes(data):
                self._tunnels.receive_datagram(data, source, now)
            case DatagramKind.CONTROL if data[0] in DATAGRAM_TYPES:
                self._connector.receive_datagram(data, source, now)
            case _:
                self._drops["unknown datagram"] += 1
        self._drain(now)

    def ports_opened(self, peer: PeerID | None, ports: Sequence[int], now: float) -> None:
        """The answer to OpenPorts; none when the system gives none."""
        if peer is None:
            self._presence.ports_opened(ports, now)
        else:
            self._connector.ports_opened(peer, ports, now)
        self._drain(now)

    def packet_unrouted(self, destination: IPv4Address | IPv6Address, now: float) -> None:
        """A packet waits for this overlay address: connect to the trusted peer that has it."""
        peer = self._trust.at_address(destination) if isinstance(destination, IPv6Address) else None
        if peer is None:
            self._drops["packet for nobody we trust"] += 1
            return
        self._connector.want_for_packet(peer.fingerprint.peer_id, now)
        self._drain(now)

    def peer_handshake(self, wireguard_key: bytes, now: float) -> None:
        self._tunnels.wireguard_handshake(wireguard_key, now)
        self._drain(now)

    def peer_roamed(self, wireguard_key: bytes, path: Endpoint, now: float) -> None:
        self._tunnels.roamed(wireguard_key, path, now)
        self._drain(now)

    def traffic(self, wireguard_key: bytes, rx_bytes: int, tx_bytes: int, now: float) -> None:
        self._tunnels.traffic(wireguard_key, rx_bytes, tx_bytes, now)
        self._drain(now)

    # From the backbone client.

    def logged_in(self, token_expires_at: int, directory_version: int, now: float) -> None:
        self._link.logged_in(token_expires_at, directory_version, now)
        self._drain(now)

    def renewed(self, token_expires_at: int, directory_version: int, now: float) -> None:
        self._link.renewed(token_expires_at, directory_version, now)
        self._drain(now)

    def backbone_failed(self, problem: Problem | None, detail: str, retry_after_s: float | None, now: float) -> None:
        """`problem` is None when the node was not reached, or is not who it should be."""
        self._link.failed(problem, detail, retry_after_s, now)
        self._drain(now)

    def directory_received(self, encoded: bytes, now: float) -> None:
        self._link.directory_received(encoded, now)
        self._drain(now)

    def published(self, now: float) -> None:
        self._link.published(now)
        self._drain(now)

    def peer_found(self, peer: PeerID, record: SignedRecord | None, record_id: bytes, hints: Hints, now: float) -> None:
        """`record` is None when the one that we hold is still the newest."""
        if peer == self._identity.peer_id:
            self._finder.answered(peer)
            self._own_record_found(record, record_id, now)
        else:
            self._finder.peer_found(peer, record, record_id, hints)
        self._drain(now)

    def peer_not_found(self, peer: PeerID, now: float) -> None:
        self._finder.peer_not_found(peer)
        self._drain(now)

    def look_up_failed(self, peer: PeerID, detail: str, now: float) -> None:
        self._finder.look_up_failed(peer, detail)
        self._drain(now)

    def updates_opened(self, now: float) -> None:
        self._link.updates_opened(now)
        self._drain(now)

    def update_received(self, message: ServerMessage, now: float) -> None:
        if isinstance(message, DirectoryChanged):
            self._link.directory_announced(message.version, now)
        else:
            self._connector.update_received(message, now)
        self._drain(now)

    def updates_closed(self, detail: str, now: float) -> None:
        self._link.updates_closed(detail, now)
        self._drain(now)

    # Commands.

    def trust(self, peer: TrustedPeer, now: float) -> None:
        """Raises PeerAlreadyTrusted, NameTaken, OverlayAddressTaken, TrustListFull."""
        self._trust.add(peer)
        self._known.forget_other_key(peer.fingerprint)
        self._connector.add(peer)
        self._save(now)
        self._link.send(Subscribe(peers=[peer.fingerprint.peer_id.raw]))
        self._connector.try_now(peer.fingerprint.peer_id, now)
        self._drain(now)

    def untrust(self, fingerprint: Fingerprint, now: float) -> None:
        """Ends the tunnel at once. Raises NotTrusted."""
        peer = self._trust.remove(fingerprint)
        if self._tunnels.remove(fingerprint.peer_id):
            self._drain_tunnels(now)
            self._out.append(PeerDisconnected(fingerprint.peer_id, "no longer trusted"))
        self._connector.remove(peer, now)
        self._waiting_pings.pop(fingerprint.peer_id, None)
        self._save(now)
        self._link.send(Unsubscribe(peers=[fingerprint.peer_id.raw]))
        self._drain(now)

    def connect(self, peer: PeerID, now: float) -> None:
        """Answered by PeerConnected or ConnectFailed. Raises NotTrusted."""
        self._check_trusted(peer)
        status = self._tunnels.status(peer)
        if status is not None:
            self._out.append(PeerConnected(peer, status.path, self._tunnels.handshake_s(peer)))
            return
        self._connector.want(peer, now)
        self._drain(now)

    def ping(self, peer: PeerID, sequence: int, now: float) -> None:
        """Answered by Ponged, or by ConnectFailed when it must connect first and can not. Raises NotTrusted."""
        self._check_trusted(peer)
        if peer in self._tunnels:
            self._tunnels.ping(peer, sequence, now)
        else:
            waiting = self._waiting_pings.setdefault(peer, [])
            waiting.append(sequence)
            del waiting[:-MAX_WAITING_PINGS]
            self._connector.want(peer, now)
        self._drain(now)

    def look_up(self, peer: PeerID, now: float) -> None:
        """Any peer, trusted or not. Answered by LookedUp."""
        if peer == self._identity.peer_id:
            self._out.append(LookedUp(peer, self._own_record.record, "cache", self._link.updates_open))
            return
        known = self._connector.get(peer)
        self._finder.look_up(
            peer,
            link_online=self._link.online,
            link_reason=self._link.reason,
            peer_online=None if known is None else known.online,
        )
        self._drain(now)

    def local_endpoints_changed(self, endpoints: Sequence[Endpoint], now: float) -> None:
        """Our addresses, each with the engine's UDP port, the best first."""
        if self._presence.set_host_endpoints(endpoints, now):
            self._tunnels.network_changed(now)
        self._drain(now)

    def stop(self, now: float) -> None:
        """Removes all tunnels and leaves the backbone. Nothing but `poll` and `saved_state` is called afterwards."""
        self._tunnels.remove_all()
        self._drain_tunnels(now)
        self._save(now)
        self._link.stop()
        while (output := self._link.poll()) is not None:
            self._link_output(output, now)

    def mapping_changed(self, endpoint: Endpoint | None, now: float) -> None:
        """What the router has opened for our main port."""
        self._presence.set_mapped(endpoint, now)
        self._drain(now)

    # The machine's own shape.

    def handle_timeout(self, now: float) -> None:
        for _ in range(_MAX_PASSES):
            self._link.handle_timeout(now)
            self._connector.handle_timeout(now)
            self._tunnels.handle_timeout(now)
            self._presence.handle_timeout(now)
            self._close_unused_ports(now)
            self._drain(now)
            due_at = self.next_timeout()
            if due_at is None or now < due_at:
                return

    def next_timeout(self) -> float | None:
        deadlines = [
            part.next_timeout() for part in (self._link, self._connector, self._tunnels, self._presence, self._saving)
        ]
        deadlines.append(self._out.ports.next_timeout())
        return min((at for at in deadlines if at is not None), default=None)

    def poll(self) -> Output | None:
        return self._out.poll()

    def _drain(self, now: float) -> None:
        """Until no part has anything to say to another."""
        busy = True
        while busy:
            busy = self._drain_tunnels(now)
            while (from_connector := self._connector.poll()) is not None:
                self._connector_output(from_connector, now)
                busy = True
            while (from_link := self._link.poll()) is not None:
                self._link_output(from_link, now)
                busy = True
            while (from_finder := self._finder.poll()) is not None:
                self._finder_output(from_finder, now)
                busy = True
            self._presence.set_connecting(self._connector.connecting, now)
            while (from_presence := self._presence.poll()) is not None:
                self._presence_output(from_presence, now)
                busy = True
        if self._saving.is_due(now):
            self._save(now)

    def _drain_tunnels(self, now: float) -> bool:
        busy = False
        while (output := self._tunnels.poll()) is not None:
            self._tunnel_output(output, now)
            busy = True
        return busy

    def _connector_output(self, output: ConnectorOutput, now: float) -> None:
        match output:
            case PeerAuthenticated():
                self._tunnels.prepare(output)
            case SessionEstablished():
                self._session_established(output, now)
            case RecordNeeded(peer=peer):
                self._finder.need(peer)
            case AttemptFailed(peer=peer, reason=reason, asked=asked):
                self._saving.cache_changed()
                self._tunnels.abandon(peer)
                self._waiting_pings.pop(peer, None)
                if asked:
                    self._out.append(ConnectFailed(peer, reason))
            case PathFound(path=path, via=via):
                self._out.ports.bind(path, via, now)
            case PortLearnt(source=source, via=via):
                self._out.ports.bind(source, via, now)
            case PortsWanted() | PortsReleased():
                self._ports_output(output)
            case _:
                self._out.append(output)

    def _tunnel_output(self, output: TunnelOutput, now: float) -> None:
        match output:
            case TunnelLost(peer=peer, path=path):
                self._disconnected(peer, f"no answer from {path}", now)
            case TunnelMoved(peer=peer, path=path):
                self._known.reached(peer, path)
                self._saving.cache_changed()
            case SessionOld(peer=peer, path=path, forgotten=forgotten):
                self._connector.rehandshake(peer, path, now, forgotten=forgotten)
            case Ponged(peer=peer, rtt_s=rtt_s):
                if rtt_s is not None:
                    self._known.measured(peer, rtt_s)
                self._out.append(output)
            case _:
                self._out.append(output)

    def _link_output(self, output: LinkOutput, now: float) -> None:
        match output:
            case LinkChanged():
                if not self._link.online:
                    self._finder.link_lost(self._link.reason)
                self._tell_link(now)
                self._presence.set_servers(self._link.stun_servers, now)
            case UpdatesOpened():
                self._subscribe()
                self._send_hints()
                self._tell_link(now)
            case DirectoryAccepted():
                self._save(now)
                self._presence.set_servers(self._link.stun_servers, now)
            case RecordOutrun():
                self._finder.need(self._identity.peer_id, self._own_record.record.record_id[:HAVE_BYTES])
            case _:
                self._out.append(output)

    def _presence_output(self, output: PresenceOutput, now: float) -> None:
        match output:
            case EndpointsChanged():
                self._connector.own_addresses_changed(self._presence.addresses, now)
                self._send_hints()
            case RecordRenewed():
                self._save(now)
                self._connector.handshaker.own_record_changed(self._own_record.record)
                self._link.publish(self._own_record.record, now)
            case PortsWanted() | PortsReleased():
                self._ports_output(output)
            case _:
                self._out.append(output)

    def _ports_output(self, output: PortsWanted | PortsReleased) -> None:
        match output:
            case PortsWanted(peer=peer, count=count):
                self._out.append(OpenPorts(peer, count))
            case PortsReleased(ports=ports):
                self._out.ports.unbind(ports)
                self._out.append(ClosePorts(ports))

    def _close_unused_ports(self, now: float) -> None:
        if ports := self._out.ports.sweep(self._tunnels.paths(), now):
            self._out.append(ClosePorts(ports))

    def _finder_output(self, output: FinderOutput, now: float) -> None:
        match output:
            case Found(peer=peer, hints=hints, failure=failure):
                self._connector.looked_up(peer, hints=hints, failure=failure, now=now)
            case KeysChanged(peer=peer):
                self._tunnels.renew(peer, now)
            case SaveRecord(record=record):
                self._saving.cache_changed()
                self._out.append(output)
                if record.record.revoked and self._tunnels.remove(record.peer_id):
                    self._disconnected(record.peer_id, "it has revoked its identity", now)
            case _:
                self._out.append(output)

    def _session_established(self, session: SessionEstablished, now: float) -> None:
        peer = self._connector.get(session.peer)
        if peer is None:
            return
        try:
            self._tunnels.install(session, self._connector.endpoints(session.peer), now)
        except KeyInUse:
            reason = f"{peer.name} claims the WireGuard key of another node"
            self._notice(ERROR, f"refused a session: {reason}")
            self._connector.refused(session.peer, reason, now)
            return
        self._drain_tunnels(now)
        if self._known.keep_newer(session.peer, session.record):
            self._out.append(SaveRecord(session.record))
        if self._known.reached(session.peer, session.endpoint):
            self._save(now)  # a node that is killed now must find this peer again without a backbone
        else:
            self._saving.cache_changed()
        if self._connector.connected(session.peer, now):
            self._out.append(PeerConnected(session.peer, session.endpoint, session.took_s))
        for sequence in self._waiting_pings.pop(session.peer, []):
            self._tunnels.ping(session.peer, sequence, now)

    def _disconnected(self, peer: PeerID, reason: str, now: float) -> None:
        self._drain_tunnels(now)
        self._out.append(PeerDisconnected(peer, reason))
        self._connector.disconnected(peer, reason, now)

    def _own_record_found(self, record: SignedRecord | None, record_id: bytes, now: float) -> None:
        """What the backbone holds of ours: this very record, or one that we have forgotten and must outdo."""
        if record_id == self._own_record.record.record_id:
            self._link.publication_confirmed()
        elif record is not None and record.peer_id == self._identity.peer_id:
            try:
                record.verify()
            except RecordRefused:
                self._drops["record: forged record of our own"] += 1
            else:
                self._presence.outdo(record.record.sequence, now)

    def _send_hints(self) -> None:
        self._link.send(SetHints(endpoints=[endpoint.encode() for endpoint in self._presence.hints]))

    def _subscribe(self) -> None:
        """The rest is found by look-ups."""
        if peers := self._known.latest_first(self._trust)[:MAX_SUBSCRIPTIONS]:
            self._link.send(Subscribe(peers=[peer.raw for peer in peers]))

    def _tell_link(self, now: float) -> None:
        self._connector.link_changed(
            LinkView(self._link.online, self._link.updates_open, self._link.pending, self._link.reason), now
        )

    def _check_trusted(self, peer: PeerID) -> None:
        if peer not in self._trust:
            raise NotTrusted(f"{peer} is not trusted")

    def _save(self, now: float) -> None:
        self._saving.saved(now)
        self._out.append(SaveState())

    def _notice(self, level: int, text: str) -> None:
        self._out.append(Notice(level, text))

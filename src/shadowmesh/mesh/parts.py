"""The machines that a light node is made of, and what the outputs of each mean to the others.

Spec: docs/spec/mesh.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from logging import ERROR

from shadowmesh.backbone_protocol.queries import HAVE_BYTES
from shadowmesh.backbone_protocol.updates import (
    MAX_SUBSCRIPTIONS,
    Call,
    SetHints,
    Subscribe,
)
from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.attempts import ConnectorOutput
from shadowmesh.mesh.backbone_link import BackboneLink, LinkOutput
from shadowmesh.mesh.calls import with_addresses
from shadowmesh.mesh.connector import Connector
from shadowmesh.mesh.connector_events import (
    AttemptFailed,
    CandidatesLearnt,
    LinkView,
    PunchOver,
    PunchWanted,
    RecordNeeded,
)
from shadowmesh.mesh.finder import Finder, FinderOutput, Found, KeysChanged
from shadowmesh.mesh.known_peers import KnownPeers
from shadowmesh.mesh.link_events import DirectoryAccepted, LinkChanged, RecordOutrun, UpdatesOpened
from shadowmesh.mesh.neighbourhood import Neighbourhood
from shadowmesh.mesh.network_check import NetworkCheck
from shadowmesh.mesh.outlet import Outlet
from shadowmesh.mesh.outputs import (
    ClosePorts,
    ConnectFailed,
    NetworkChecked,
    Notice,
    OpenPorts,
    PeerConnected,
    PeerDisconnected,
    Ponged,
    SaveRecord,
    SaveState,
    SendUpdate,
)
from shadowmesh.mesh.own_record import OwnRecord
from shadowmesh.mesh.path_search import PathSearch
from shadowmesh.mesh.presence import EndpointsChanged, OwnPresence, PresenceOutput, RecordRenewed
from shadowmesh.mesh.saving import SaveSchedule
from shadowmesh.mesh.state import MeshConfig, SavedState
from shadowmesh.mesh.status import merge_drops
from shadowmesh.mesh.trust import TrustList
from shadowmesh.mesh.tunnels import (
    KeyInUse,
    SessionOld,
    TunnelLost,
    TunnelMoved,
    TunnelOutput,
    Tunnels,
    TunnelSilent,
)
from shadowmesh.paths.events import PathFound, PortLearnt, PortsReleased, PortsWanted, PunchEnded
from shadowmesh.paths.puncher import Puncher, PuncherOutput
from shadowmesh.records.peer_record import Mode, RecordRefused, SignedRecord
from shadowmesh.session.events import PeerAuthenticated, SessionEstablished
from shadowmesh.session.handshaker import Handshaker
from shadowmesh.wire.clock import WallClock
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.open_ids import OpenIds

_MAX_PASSES = 8  # of handle_timeout: what falls due because of what was due


class Parts:
    """Public to the mesh that owns them. `drain` comes after every input of any part."""

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
        self.identity = identity
        self.out = Outlet()
        ids = OpenIds(self.out.append)
        self.drops: Counter[str] = Counter()
        self.saving = SaveSchedule()
        self.waiting_pings: dict[PeerID, list[int]] = {}
        self.own_record = OwnRecord(identity, config, saved.record_sequence, wall_clock=wall_clock, now=now)
        self.trust = TrustList(identity.fingerprint, saved.trusted)
        self.known = KnownPeers(self.trust, saved.cache, saved.records, wall_clock=wall_clock)
        self.link = BackboneLink(config, saved.directory, entropy=entropy, wall_clock=wall_clock, now=now)
        self.finder = Finder(self.known)
        self.presence = OwnPresence(self.own_record, public=config.mode is Mode.PUBLIC, entropy=entropy, ids=ids)
        self.tunnels = Tunnels(identity.peer_id, self.own_record.wireguard_key, entropy=entropy, ids=ids)
        handshaker = Handshaker(
            identity, self.own_record.record, entropy=entropy, wall_clock=wall_clock, ids=ids, now=now
        )
        self.connector = Connector(self.known, handshaker, entropy=entropy, now=now)
        self.puncher = Puncher(identity.peer_id, entropy=entropy, ids=ids)
        self.search = PathSearch()
        self.check = NetworkCheck(entropy=entropy, ids=ids)
        self.lan = Neighbourhood(
            identity.fingerprint, self.own_record, self.known, self.connector, entropy=entropy, ids=ids
        )
        self._held_call: Call | None = None
        for peer in self.trust.all():
            self.connector.add(peer)

    @property
    def all_drops(self) -> Mapping[str, int]:
        """How often something was ignored, by reason, over all parts."""
        parts = (self.connector, self.puncher, self.tunnels, self.presence, self.link, self.lan)
        return merge_drops([self.drops, *(part.drops for part in parts)], self.connector.handshaker.drops)

    def handle_timeout(self, now: float) -> None:
        for _ in range(_MAX_PASSES):
            self.link.handle_timeout(now)
            self.connector.handle_timeout(now)
            self.puncher.handle_timeout(now)
            self.tunnels.handle_timeout(now)
            self.presence.handle_timeout(now)
            self.check.handle_timeout(now)
            self.lan.handle_timeout(now)
            self.close_unused_ports(now)
            self._call_due(now)
            self.drain(now)
            due_at = self.next_timeout()
            if due_at is None or now < due_at:
                return

    def next_timeout(self) -> float | None:
        parts = (self.link, self.connector, self.puncher, self.tunnels, self.presence, self.check, self.lan)
        deadlines = [part.next_timeout() for part in (*parts, self.saving, self.out.ports)]
        if self.link.updates_open:
            deadlines.append(self.search.next_timeout())
        return min((at for at in deadlines if at is not None), default=None)

    def drain(self, now: float) -> None:
        """Until no part has anything to say to another."""
        self._drain_check()
        busy = True
        while busy:
            busy = self.drain_tunnels(now) or self._drain_puncher(now)
            while (from_connector := self._poll_connector(now)) is not None:
                self._connector_output(from_connector, now)
                busy = True
            while (from_lan := self.lan.poll(now)) is not None:
                # After a first message: a peer looks at what comes first, and has more to do for that.
                self.out.append(from_lan)
                busy = True
            while (from_link := self.link.poll()) is not None:
                self.link_output(from_link, now)
                busy = True
            while (from_finder := self.finder.poll()) is not None:
                self._finder_output(from_finder, now)
                busy = True
            self.presence.set_connecting(self.connector.connecting, now)
            while (from_presence := self.presence.poll()) is not None:
                self._presence_output(from_presence, now)
                busy = True
            busy |= self._call_due(now)
        if self.check.end_unless(self.presence.is_asking):
            self.out.append(NetworkChecked())
        if self.saving.is_due(now):
            self.save(now)

    def _call_due(self, now: float) -> bool:
        """Calls those that we have a session with, and no path."""
        due = self.search.due(self.tunnels.is_silent, now) if self.link.updates_open else []
        for peer in due:
            self.connector.call(peer, now)
            if self.tunnels.is_silent(peer):
                self.presence.doubt(now)
        return bool(due)

    def network_changed(self, now: float) -> None:
        """All paths are in doubt, and what waited for the old network to come back need not wait."""
        self.tunnels.network_changed(now)
        self.search.network_changed(self.tunnels.peers(), now)
        self.connector.try_wanted(now)
        self.link.network_changed(now)

    def check_network(self, now: float) -> None:
        """The observers of our NAT come last: a NAT that counts then stands where they have seen it."""
        if not self.check.is_running:
            versions = {endpoint.address.version for endpoint in self.presence.addresses.endpoints}
            self.check.start(self.link.nodes, self.presence.servers, versions, now)
            self._drain_check()
            self.presence.check_again(now)

    def _drain_check(self) -> None:
        while (output := self.check.poll()) is not None:
            self.out.append(output)

    def drain_tunnels(self, now: float) -> bool:
        busy = False
        while (output := self.tunnels.poll()) is not None:
            self._tunnel_output(output, now)
            busy = True
        return busy

    def _poll_connector(self, now: float) -> ConnectorOutput | None:
        """Behind a NAT that counts, a call and all that comes after it wait until we know where the NAT stands.

        An answer that crosses our own call tells what that told: another look would take another port.
        """
        if self._held_call is None:
            output = self.connector.poll()
            if not (isinstance(output, SendUpdate) and isinstance(output.message, Call)):
                return output
            call = self._held_call = output.message
            if not (call.answer and self.connector.is_calling(PeerID(call.peer), now)):
                self.presence.sample(now)
        if self.presence.is_sampling:
            return None
        held, self._held_call = self._held_call, None
        return SendUpdate(with_addresses(held, self.presence.addresses))

    def _connector_output(self, output: ConnectorOutput, now: float) -> None:
        match output:
            case PeerAuthenticated():
                self.tunnels.prepare(output, self.out.ports[output.endpoint])
            case SessionEstablished():
                self._session_established(output, now)
            case RecordNeeded(peer=peer):
                self.finder.need(peer)
            case AttemptFailed(peer=peer, reason=reason, asked=asked):
                self.saving.cache_changed()
                self.tunnels.abandon(peer)
                self.waiting_pings.pop(peer, None)
                if asked:
                    self.out.append(ConnectFailed(peer, reason))
            case PunchWanted():
                self.puncher.start(
                    output.peer,
                    output.token,
                    output.candidates,
                    own_nat=output.own_nat,
                    peer_nat=output.peer_nat,
                    now=now,
                )
                self._drain_puncher(now)
            case PunchOver(peer=peer):
                self.puncher.stop(peer)
                self._drain_puncher(now)
            case CandidatesLearnt(peer=peer, path_in_doubt=path_in_doubt):
                self.tunnels.learnt(peer, self.connector.endpoints(peer), now)
                if path_in_doubt:
                    self.tunnels.probe(peer, now)
            case _:
                self.out.append(output)

    def _tunnel_output(self, output: TunnelOutput, now: float) -> None:
        match output:
            case TunnelSilent(peer=peer):
                self.search.path_silent(peer, now)
                self.presence.doubt(now)
            case TunnelLost(peer=peer, path=path):
                self._disconnected(peer, f"no answer from {path}", now)
            case TunnelMoved(peer=peer, path=path, via=via):
                self.out.ports.bind(path, via, now)
                self.connector.path_settled(peer)
                self.known.reached(peer, path)
                self.saving.cache_changed()
            case SessionOld(peer=peer, path=path, forgotten=forgotten):
                self.connector.rehandshake(peer, path, now, forgotten=forgotten)
            case Ponged(peer=peer, rtt_s=rtt_s):
                if rtt_s is not None:
                    self.known.measured(peer, rtt_s)
                self.out.append(output)
            case _:
                self.out.append(output)

    def link_output(self, output: LinkOutput, now: float) -> None:
        match output:
            case LinkChanged():
                if not self.link.online:
                    self.finder.link_lost(self.link.reason)
                self.tell_link(now)
                self.presence.set_servers(self.link.stun_servers, now)
            case UpdatesOpened():
                self._subscribe()
                self._send_hints()
                self.search.link_opened(now)
                self.tell_link(now)
            case DirectoryAccepted():
                self.save(now)
                self.presence.set_servers(self.link.stun_servers, now)
            case RecordOutrun():
                self.finder.need(self.identity.peer_id, self.own_record.record.record_id[:HAVE_BYTES])
            case _:
                self.out.append(output)

    def _presence_output(self, output: PresenceOutput, now: float) -> None:
        match output:
            case EndpointsChanged():
                self.connector.own_addresses_changed(self.presence.addresses, now)
                if self.presence.reflexive:
                    self.search.addresses_changed(now)
                self._send_hints()
            case RecordRenewed():
                self.save(now)
                self.connector.handshaker.own_record_changed(self.own_record.record)
                self.link.publish(self.own_record.record, now)
            case PortsWanted() | PortsReleased():
                self._ports_output(output)
            case _:
                self.out.append(output)

    def _drain_puncher(self, now: float) -> bool:
        busy = False
        while (output := self.puncher.poll()) is not None:
            self._puncher_output(output, now)
            busy = True
        return busy

    def _puncher_output(self, output: PuncherOutput, now: float) -> None:
        match output:
            case PathFound(peer=peer, path=path, via=via):
                self.out.ports.bind(path, via, now)  # first: what is sent there next goes the way that was found
                if peer in self.tunnels:
                    self.tunnels.path_found(peer, path, now, via)
                else:
                    self.connector.path_found(output, now)
            case PortLearnt(source=source, via=via):
                self.out.ports.bind(source, via, now)
            case PunchEnded():
                self.connector.punch_ended(output, now)
            case PortsWanted() | PortsReleased():
                self._ports_output(output)
            case _:
                self.out.append(output)

    def _ports_output(self, output: PortsWanted | PortsReleased) -> None:
        match output:
            case PortsWanted(peer=peer, count=count):
                self.out.append(OpenPorts(peer, count))
            case PortsReleased(ports=ports):
                self.out.ports.unbind(ports)
                self.out.append(ClosePorts(ports))

    def close_unused_ports(self, now: float) -> None:
        if ports := self.out.ports.sweep(self.tunnels.paths(), now):
            self.out.append(ClosePorts(ports))

    def _finder_output(self, output: FinderOutput, now: float) -> None:
        match output:
            case Found(peer=peer, hints=hints, failure=failure):
                self.connector.looked_up(peer, hints=hints, failure=failure, now=now)
            case KeysChanged(peer=peer):
                self.tunnels.renew(peer, now)
            case SaveRecord(record=record):
                self.saving.cache_changed()
                self.out.append(output)
                if record.record.revoked and self.tunnels.remove(record.peer_id):
                    self._disconnected(record.peer_id, "it has revoked its identity", now)
            case _:
                self.out.append(output)

    def _session_established(self, session: SessionEstablished, now: float) -> None:
        peer = self.connector.get(session.peer)
        if peer is None:
            return
        try:
            via = self.out.ports[session.endpoint]
            self.tunnels.install(session, self.connector.endpoints(session.peer), now, via)
        except KeyInUse:
            reason = f"{peer.name} claims the WireGuard key of another node"
            self.notice(ERROR, f"refused a session: {reason}")
            self.connector.refused(session.peer, reason, now)
            return
        self.drain_tunnels(now)
        if self.known.keep_newer(session.peer, session.record):
            self.out.append(SaveRecord(session.record))
        if self.known.reached(session.peer, session.endpoint):
            self.save(now)  # a node that is killed now must find this peer again without a backbone
        else:
            self.saving.cache_changed()
        if self.connector.connected(session.peer, now):
            self.out.append(PeerConnected(session.peer, session.endpoint, session.took_s))
        for sequence in self.waiting_pings.pop(session.peer, []):
            self.tunnels.ping(session.peer, sequence, now)

    def _disconnected(self, peer: PeerID, reason: str, now: float) -> None:
        self.search.stop(peer)
        self.drain_tunnels(now)
        self.out.append(PeerDisconnected(peer, reason))
        self.connector.disconnected(peer, reason, now)
        self.lan.peer_missing(now)

    def own_record_found(self, record: SignedRecord | None, record_id: bytes, now: float) -> None:
        """What the backbone holds of ours: this very record, or one that we have forgotten and must outdo."""
        if record_id == self.own_record.record.record_id:
            self.link.publication_confirmed()
        elif record is not None and record.peer_id == self.identity.peer_id:
            try:
                record.verify()
            except RecordRefused:
                self.drops["record: forged record of our own"] += 1
            else:
                self.presence.outdo(record.record.sequence, now)

    def _send_hints(self) -> None:
        self.link.send(SetHints(endpoints=[endpoint.encode() for endpoint in self.presence.hints]))

    def _subscribe(self) -> None:
        """The rest is found by look-ups."""
        if peers := self.known.latest_first(self.trust)[:MAX_SUBSCRIPTIONS]:
            self.link.send(Subscribe(peers=[peer.raw for peer in peers]))

    def tell_link(self, now: float) -> None:
        self.connector.link_changed(
            LinkView(self.link.online, self.link.updates_open, self.link.pending, self.link.reason), now
        )

    def save(self, now: float) -> None:
        self.saving.saved(now)
        self.out.append(SaveState())

    def notice(self, level: int, text: str) -> None:
        self.out.append(Notice(level, text))

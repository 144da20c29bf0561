"""One light node as one machine: it owns the others, and translates what comes out of each into what the next needs.

Spec: docs/spec/mesh.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from logging import ERROR

from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.updates import (
    DirectoryChanged,
    ServerMessage,
    Subscribe,
    Unsubscribe,
)
from shadowmesh.identity.keys import Identity
from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.mesh.errors import NotTrusted
from shadowmesh.mesh.network_check import NetworkReport
from shadowmesh.mesh.outputs import (
    LookedUp,
    Output,
    PeerConnected,
    PeerDisconnected,
)
from shadowmesh.mesh.parts import Parts
from shadowmesh.mesh.peer_report import PeerReport, peer_report
from shadowmesh.mesh.state import LinkState, LinkStatus, MeshConfig, PeerStatus, SavedState, TrustedPeer
from shadowmesh.mesh.status import peer_status
from shadowmesh.paths.lan.discovery import DATAGRAM_TYPES as LAN_DATAGRAM_TYPES
from shadowmesh.records.hints import Hints
from shadowmesh.records.peer_record import SignedRecord
from shadowmesh.session.handshaker import DATAGRAM_TYPES
from shadowmesh.wire.clock import WallClock
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.entropy import Entropy
from shadowmesh.wire.first_byte import DatagramKind, classify

MAX_WAITING_PINGS = 16  # of one peer, until it is connected
LONG_SLEEP_S = 30.0  # from then on a peer may have given us up: a keepalive that it missed, and the search after it


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
        self._parts = Parts(identity, config, saved, entropy=entropy, wall_clock=wall_clock, now=now)
        self._parts.save(now)  # the record's sequence number, before the record is used
        for refused, error in self._parts.trust.refused:
            self._parts.notice(ERROR, f"the saved trust in {refused.fingerprint} is ignored: {error}")
        self._parts.link.publish(self._parts.own_record.record, now)
        self._parts.presence.set_servers(self._parts.link.stun_servers, now)
        self._parts.link.start(now)
        self._parts.tell_link(now)
        self._parts.connector.start(now)
        self._parts.drain(now)

    # What a node is.

    @property
    def wireguard_private_key(self) -> bytes:
        return self._parts.own_record.wireguard_private_key

    @property
    def overlay_address(self) -> IPv6Address:
        return self._parts.identity.peer_id.overlay_address

    @property
    def own_record(self) -> SignedRecord:
        return self._parts.own_record.record

    def saved_state(self) -> SavedState:
        return SavedState(
            trusted=self._parts.trust.all(),
            cache=tuple(self._parts.known.cache),
            record_sequence=self._parts.own_record.sequence,
            directory=self._parts.link.directory,
            records=self._parts.known.records(),
        )

    def trusted(self) -> tuple[TrustedPeer, ...]:
        return self._parts.trust.all()

    def peers(self) -> list[PeerStatus]:
        own = self._parts.presence.addresses
        return [
            peer_status(peer, self._parts.connector.get(peer.fingerprint.peer_id), self._parts.tunnels, own)
            for peer in self._parts.trust.all()
        ]

    @property
    def link_state(self) -> LinkState:
        return self._parts.link.state

    def link(self) -> LinkStatus:
        return self._parts.link.status(self._parts.presence.reflexive)

    def network(self) -> NetworkReport:
        """As of the last `check_network`, or of what was seen since."""
        link, presence, check = self._parts.link, self._parts.presence, self._parts.check
        own = presence.addresses
        observers = check.observers(link.nodes, presence.servers, presence.observations)
        is_asking = check.is_asking or presence.is_asking
        return NetworkReport(own.candidates, own.nat, observers, is_asking, link.online, link.reason)

    def peer_report(self, peer: PeerID) -> PeerReport:
        """Raises NotTrusted."""
        known = self._parts.connector.get(peer)
        if known is None:
            raise NotTrusted(f"{peer} is not trusted")
        return peer_report(
            peer_status(known.trusted, known, self._parts.tunnels, self._parts.presence.addresses),
            known,
            has_record=self._parts.known.record(peer) is not None,
            own=self._parts.presence.addresses,
            punch=self._parts.puncher.report(peer),
            alternates=self._parts.tunnels.alternates(peer),
        )

    @property
    def drops(self) -> Mapping[str, int]:
        """How often something was ignored, by reason, over all parts."""
        return self._parts.all_drops

    # From the engine.

    def receive_datagram(self, data: bytes, source: Endpoint, now: float, via: int = 0) -> None:
        """A datagram that is neither WireGuard's nor a relay's. `via`: the local port that it came to, 0 for the main
        one. Never raises; see `drops`."""
        match classify(data):
            case DatagramKind.STUN if not via and self._parts.check.takes(source):
                self._parts.check.receive_datagram(data, source, now)
            case DatagramKind.STUN:
                self._parts.presence.receive_stun(data, source, via, now)
            case DatagramKind.CONTROL if self._parts.puncher.takes(data):
                self._parts.puncher.receive_datagram(data, source, via, now)
            case DatagramKind.CONTROL if self._parts.tunnels.takes(data):
                self._parts.tunnels.receive_datagram(data, source, now, via)
            case DatagramKind.CONTROL if data[0] in DATAGRAM_TYPES:
                self._parts.connector.receive_datagram(data, source, now)
            case DatagramKind.CONTROL if data[0] in LAN_DATAGRAM_TYPES:
                self._parts.lan.receive_datagram(data, source, now)
            case _:
                self._parts.drops["unknown datagram"] += 1
        self._parts.drain(now)

    def announcement_received(self, data: bytes, source: Endpoint, now: float) -> None:
        """A datagram to the LAN's group. Never raises; see `drops`."""
        self._parts.lan.receive_announcement(data, source, now)
        self._parts.drain(now)

    def ports_opened(self, peer: PeerID | None, ports: Sequence[int], now: float) -> None:
        """The answer to OpenPorts; none when the system gives none."""
        if peer is None:
            self._parts.presence.ports_opened(ports, now)
        else:
            self._parts.puncher.ports_opened(peer, ports, now)
        self._parts.drain(now)

    def packet_unrouted(self, destination: IPv4Address | IPv6Address, now: float) -> None:
        """A packet waits for this overlay address: connect to the trusted peer that has it."""
        peer = self._parts.trust.at_address(destination) if isinstance(destination, IPv6Address) else None
        if peer is None:
            self._parts.drops["packet for nobody we trust"] += 1
            return
        self._parts.connector.want_for_packet(peer.fingerprint.peer_id, now)
        self._parts.drain(now)

    def peer_handshake(self, wireguard_key: bytes, now: float) -> None:
        self._parts.tunnels.wireguard_handshake(wireguard_key, now)
        self._parts.drain(now)

    def peer_roamed(self, wireguard_key: bytes, path: Endpoint, now: float) -> None:
        self._parts.tunnels.roamed(wireguard_key, path, now)
        self._parts.drain(now)

    def traffic(self, wireguard_key: bytes, rx_bytes: int, tx_bytes: int, now: float) -> None:
        self._parts.tunnels.traffic(wireguard_key, rx_bytes, tx_bytes, now)
        self._parts.drain(now)

    # From the backbone client.

    def logged_in(self, token_expires_at: int, directory_version: int, now: float) -> None:
        self._parts.link.logged_in(token_expires_at, directory_version, now)
        self._parts.drain(now)

    def renewed(self, token_expires_at: int, directory_version: int, now: float) -> None:
        self._parts.link.renewed(token_expires_at, directory_version, now)
        self._parts.drain(now)

    def backbone_failed(self, problem: Problem | None, detail: str, retry_after_s: float | None, now: float) -> None:
        """`problem` is None when the node was not reached, or is not who it should be."""
        self._parts.link.failed(problem, detail, retry_after_s, now)
        self._parts.drain(now)

    def directory_received(self, encoded: bytes, now: float) -> None:
        self._parts.link.directory_received(encoded, now)
        self._parts.drain(now)

    def published(self, now: float) -> None:
        self._parts.link.published(now)
        self._parts.drain(now)

    def peer_found(self, peer: PeerID, record: SignedRecord | None, record_id: bytes, hints: Hints, now: float) -> None:
        """`record` is None when the one that we hold is still the newest."""
        if peer == self._parts.identity.peer_id:
            self._parts.finder.answered(peer)
            self._parts.own_record_found(record, record_id, now)
        else:
            self._parts.finder.peer_found(peer, record, record_id, hints)
        self._parts.drain(now)

    def peer_not_found(self, peer: PeerID, now: float) -> None:
        self._parts.finder.peer_not_found(peer)
        self._parts.drain(now)

    def look_up_failed(self, peer: PeerID, detail: str, now: float) -> None:
        self._parts.finder.look_up_failed(peer, detail)
        self._parts.drain(now)

    def updates_opened(self, now: float) -> None:
        self._parts.link.updates_opened(now)
        self._parts.drain(now)

    def update_received(self, message: ServerMessage, now: float) -> None:
        if isinstance(message, DirectoryChanged):
            self._parts.link.directory_announced(message.version, now)
        else:
            self._parts.connector.update_received(message, now)
        self._parts.drain(now)

    def updates_closed(self, detail: str, now: float) -> None:
        self._parts.link.updates_closed(detail, now)
        self._parts.drain(now)

    # Commands.

    def trust(self, peer: TrustedPeer, now: float) -> None:
        """Raises PeerAlreadyTrusted, NameTaken, OverlayAddressTaken, TrustListFull."""
        self._parts.trust.add(peer)
        self._parts.known.forget_other_key(peer.fingerprint)
        self._parts.connector.add(peer)
        self._parts.save(now)
        self._parts.link.send(Subscribe(peers=[peer.fingerprint.peer_id.raw]))
        self._parts.connector.try_now(peer.fingerprint.peer_id, now)
        self._parts.lan.peer_missing(now)
        self._parts.drain(now)

    def untrust(self, fingerprint: Fingerprint, now: float) -> None:
        """Ends the tunnel at once. Raises NotTrusted."""
        peer = self._parts.trust.remove(fingerprint)
        if self._parts.tunnels.remove(fingerprint.peer_id):
            self._parts.drain_tunnels(now)
            self._parts.out.append(PeerDisconnected(fingerprint.peer_id, "no longer trusted"))
        self._parts.connector.remove(peer, now)
        self._parts.search.stop(fingerprint.peer_id)
        self._parts.waiting_pings.pop(fingerprint.peer_id, None)
        self._parts.lan.forget(fingerprint.peer_id)
        self._parts.save(now)
        self._parts.link.send(Unsubscribe(peers=[fingerprint.peer_id.raw]))
        self._parts.drain(now)

    def connect(self, peer: PeerID, now: float) -> None:
        """Answered by PeerConnected or ConnectFailed. Raises NotTrusted."""
        self._check_trusted(peer)
        status = self._parts.tunnels.status(peer)
        if status is not None:
            self._parts.out.append(PeerConnected(peer, status.path, self._parts.tunnels.handshake_s(peer)))
            return
        self._parts.connector.want(peer, now)
        self._parts.drain(now)

    def ping(self, peer: PeerID, sequence: int, now: float) -> None:
        """Answered by Ponged, or by ConnectFailed when it must connect first and can not. Raises NotTrusted."""
        self._check_trusted(peer)
        if peer in self._parts.tunnels:
            self._parts.tunnels.ping(peer, sequence, now)
        else:
            waiting = self._parts.waiting_pings.setdefault(peer, [])
            waiting.append(sequence)
            del waiting[:-MAX_WAITING_PINGS]
            self._parts.connector.want(peer, now)
        self._parts.drain(now)

    def look_up(self, peer: PeerID, now: float) -> None:
        """Any peer, trusted or not. Answered by LookedUp."""
        if peer == self._parts.identity.peer_id:
            self._parts.out.append(
                LookedUp(peer, self._parts.own_record.record, "cache", self._parts.link.updates_open)
            )
            return
        known = self._parts.connector.get(peer)
        self._parts.finder.look_up(
            peer,
            link_online=self._parts.link.online,
            link_reason=self._parts.link.reason,
            peer_online=None if known is None else known.online,
        )
        self._parts.drain(now)

    def check_network(self, now: float) -> None:
        """Asks all observers anew. Answered by NetworkChecked, within ten seconds; one check serves all who ask."""
        self._parts.check_network(now)
        self._parts.drain(now)

    def local_endpoints_changed(self, endpoints: Sequence[Endpoint], now: float) -> None:
        """Our addresses, each with the engine's UDP port, the best first."""
        if self._parts.presence.set_host_endpoints(endpoints, now):
            self._parts.network_changed(now)
        self._parts.lan.set_endpoints(endpoints, now)
        self._parts.drain(now)

    def network_changed(self, now: float) -> None:
        """Our addresses are the same, but not the way out: another default route, or a link that was down is up."""
        self._parts.presence.network_changed(now)
        self._parts.network_changed(now)
        self._parts.drain(now)

    def woke(self, slept_s: float, now: float) -> None:
        """The process did not run, by its own clock or by the world's."""
        self.network_changed(now)
        if slept_s >= LONG_SLEEP_S:
            self._parts.tunnels.woke()
        self._parts.drain(now)

    def unprobed_since(self, at: float) -> bool:
        """Whether any connected peer has answered no probe since then."""
        return self._parts.tunnels.unprobed_since(at)

    def probe_paths(self, now: float) -> None:
        """Of all connected peers."""
        self._parts.tunnels.probe_all(now)
        self._parts.drain(now)

    def stop(self, now: float) -> None:
        """Removes all tunnels and leaves the backbone. Nothing but `poll` and `saved_state` is called afterwards."""
        self._parts.tunnels.remove_all()
        self._parts.drain_tunnels(now)
        self._parts.save(now)
        self._parts.link.stop()
        while (output := self._parts.link.poll()) is not None:
            self._parts.link_output(output, now)

    def mapping_changed(self, endpoint: Endpoint | None, now: float) -> None:
        """What the router has opened for our main port."""
        self._parts.presence.set_mapped(endpoint, now)
        self._parts.drain(now)

    # The machine's own shape.

    def handle_timeout(self, now: float) -> None:
        self._parts.handle_timeout(now)

    def next_timeout(self) -> float | None:
        return self._parts.next_timeout()

    def poll(self) -> Output | None:
        return self._parts.out.poll()

    def _check_trusted(self, peer: PeerID) -> None:
        if peer not in self._parts.trust:
            raise NotTrusted(f"{peer} is not trusted")

"""A simulated packet engine: what is installed, and whether packets of two of them pass the network."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.unit.session.session_vectors import sealed_reply

from shadowmesh.mesh.outputs import InstallPeer, RemovePeer, SetPath
from shadowmesh.session.events import CookiesDemanded
from shadowmesh.session.fragments import HEADER_BYTES, MAC_BYTES, Fragment
from shadowmesh.session.macs import COOKIE_BYTES, GateKeys, MacWriter, macs_of
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.first_byte import ControlType, DatagramKind, classify
from shadowmesh.wire.open_ids import CONTROL_ID, STUN_ID, CloseId, OpenId

_HEADER = b"\x04\0\0\0"  # WireGuard's transport data
_REQUEST, _ECHO, _ONE_WAY = b"?", b"!", b"."
_KEY_BYTES, _TAG_BYTES = 32, 16


@dataclass(slots=True)
class Flow:
    """Packets with one peer."""

    sent: int = 0
    received: set[bytes] = field(default_factory=set)  # each counts once: WireGuard drops replays
    echoes: int = 0  # our packets that came back


class SimEngine:
    """Keeps the gate as the real one does, but for the rates."""

    def __init__(self, public_key: bytes, gate_keys: GateKeys, send: Callable[[bytes, Endpoint, int], None]) -> None:
        self.public_key = public_key
        self.ids: set[bytes] = set()
        self.demands_cookies = False
        self._gate_keys = gate_keys
        self.peers: dict[bytes, InstallPeer] = {}
        self.paths: dict[bytes, Endpoint] = {}
        self.ports: dict[bytes, int] = {}  # the local port of each path
        self.flows: dict[bytes, Flow] = {}
        self.drops: Counter[str] = Counter()
        self.installs = 0  # each with another PSK than before
        self.counters: dict[bytes, tuple[int, int]] = {}  # bytes received and sent, of each peer that is installed
        self._send = send

    def tell_gate(self, order: OpenId | CloseId | CookiesDemanded) -> None:
        match order:
            case OpenId(id_):
                self.ids.add(id_)
            case CloseId(id_):
                self.ids.remove(id_)
            case CookiesDemanded(demanded):
                self.demands_cookies = demanded

    def hands_up(self, data: bytes, source: Endpoint, via: int) -> bool:
        """Whether the mesh expects a STUN or control datagram. The begin of a handshake may be answered instead."""
        if data[:1] == bytes([ControlType.SESSION]) and data[2:3] == b"\1":
            return self._lets_in(data, source, via)
        id_ = data[STUN_ID if classify(data) is DatagramKind.STUN else CONTROL_ID]
        is_expected = id_ in self.ids
        self.drops["not expected"] += not is_expected
        return is_expected

    def _lets_in(self, data: bytes, source: Endpoint, via: int) -> bool:
        header = data[:HEADER_BYTES]
        cookie = hashlib.sha256(self.public_key + source.encode()).digest()[:COOKIE_BYTES]
        shown = MacWriter(self._gate_keys.mac1, cookie)(header)
        if macs_of(data)[:MAC_BYTES] != shown[:MAC_BYTES]:
            self.drops["mac1"] += 1
            return False
        if not self.demands_cookies or data.startswith(shown, HEADER_BYTES):
            return True
        fragment = Fragment.decode(data)
        if fragment.index == 0:
            nonce = bytes(12)  # of one key: it seals nothing but these cookies, which are no secrets here
            self._send(sealed_reply(fragment.flight, macs_of(data), cookie, self._gate_keys.cookie, nonce), source, via)
        return False

    def install(self, peer: InstallPeer) -> None:
        """Refuses what the real engine refuses."""
        if len(peer.psk) != 32 or not any(peer.psk):
            raise ValueError("a PSK of 32 bytes that is not zero is needed")
        taken = [key for key, other in self.peers.items() if set(other.allowed_ips) & set(peer.allowed_ips)]
        if taken and taken != [peer.wireguard_key]:
            raise ValueError("another peer has this prefix")
        before = self.peers.get(peer.wireguard_key)
        self.installs += before is None or before.psk != peer.psk
        self.peers[peer.wireguard_key] = peer
        self.paths[peer.wireguard_key] = peer.path
        self.ports[peer.wireguard_key] = peer.via
        self.flows.setdefault(peer.wireguard_key, Flow())

    def set_path(self, change: SetPath) -> None:
        if change.wireguard_key not in self.peers:
            raise KeyError("no such peer")
        self.paths[change.wireguard_key] = change.path
        self.ports[change.wireguard_key] = change.via

    def remove(self, removal: RemovePeer) -> None:
        self.peers.pop(removal.wireguard_key, None)
        self.paths.pop(removal.wireguard_key, None)
        self.flows.pop(removal.wireguard_key, None)
        self.counters.pop(removal.wireguard_key, None)

    def count(self, key: bytes, *, rx_bytes: int, tx_bytes: int) -> None:
        """Packets inside the tunnel. Nothing is sealed for who is not installed."""
        if key in self.peers:
            received, sent = self.counters.get(key, (0, 0))
            self.counters[key] = received + rx_bytes, sent + tx_bytes

    def would_pass(self, other: SimEngine) -> bool:
        """Both have the other, with one PSK and one cipher, and one of them begins."""
        mine, theirs = self.peers.get(other.public_key), other.peers.get(self.public_key)
        if mine is None or theirs is None or (mine.psk, mine.cipher) != (theirs.psk, theirs.cipher):
            return False
        return mine.initiate or theirs.initiate

    def send_packet(self, peer: bytes, *, answered: bool = True) -> None:
        """One that the peer's engine answers, as a host does with ICMP echo. Nothing without the peer."""
        if peer in self.peers:
            self._send_data(peer, _REQUEST if answered else _ONE_WAY)

    def arrived(self, peer: bytes) -> int:
        """Packets of the peer, with and without answer, and answers, since it was installed."""
        return len(self.flows[peer].received) if peer in self.flows else 0

    def echoes(self, peer: bytes) -> int:
        """How many packets to the peer were answered since it was installed."""
        return self.flows[peer].echoes if peer in self.flows else 0

    def receive_datagram(self, data: bytes, source: Endpoint) -> bytes | None:
        """The key of a peer whose authentic packets come from elsewhere than its path leads to. It is not followed."""
        body, tag = data[:-_TAG_BYTES], data[-_TAG_BYTES:]
        sender = body[len(_HEADER) : len(_HEADER) + _KEY_BYTES]
        peer = self.peers.get(sender)
        if peer is None or not hmac.compare_digest(tag, self._tag(peer, body)):
            self.drops["not authentic"] += 1
            return None
        flow = self.flows[sender]
        if data in flow.received:
            self.drops["replayed"] += 1
            return None
        flow.received.add(data)
        self.count(sender, rx_bytes=len(data), tx_bytes=0)
        flow.echoes += body.endswith(_ECHO)
        if body.endswith(_REQUEST):
            self._send_data(sender, _ECHO)
        return sender if self.paths[sender] != source else None

    def _send_data(self, peer: bytes, kind: bytes) -> None:
        flow = self.flows[peer]
        flow.sent += 1
        body = _HEADER + self.public_key + flow.sent.to_bytes(8, "big") + kind
        self.count(peer, rx_bytes=0, tx_bytes=len(body) + _TAG_BYTES)
        self._send(body + self._tag(self.peers[peer], body), self.paths[peer], self.ports[peer])

    @staticmethod
    def _tag(peer: InstallPeer, body: bytes) -> bytes:
        return hmac.digest(peer.psk, body, "sha256")[:_TAG_BYTES]

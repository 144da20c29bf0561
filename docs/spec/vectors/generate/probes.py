"""Path probes: what is taken, and what is refused."""

from __future__ import annotations

from people import Case

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.probe_datagram import FULL_SIZE_BYTES, ProbeDatagram, ProbeKeys
from shadowmesh.wire.endpoint import Endpoint

SENDER, RECEIVER = PeerID(bytes(range(20))), PeerID(bytes(range(100, 120)))
PROBE_KEY = bytes(range(32))
FROM_SENDER = ProbeKeys.derive(PROBE_KEY, SENDER, RECEIVER)
FROM_RECEIVER = ProbeKeys.derive(PROBE_KEY, RECEIVER, SENDER)
TXID = bytes(range(0x30, 0x40))


def probe_vectors() -> Case:
    probe = ProbeDatagram(FROM_SENDER.tag, TXID, 1_000_000)
    reply = ProbeDatagram(FROM_SENDER.tag, TXID, 1_000_000, Endpoint.of("198.18.0.1", 41641))
    late = ProbeDatagram(FROM_SENDER.tag, TXID, 2**64 - 1, Endpoint.of("2001:db8::1", 1))
    comparing = ProbeDatagram(FROM_SENDER.tag, TXID, 1_000_000, compares=True)
    data, full_size = probe.encode(FROM_SENDER), probe.encode(FROM_SENDER, full_size=True)
    return {
        "comment": "Path probes, docs/spec/paths.md section 5.1, in hex. Tag, observed, compares: as received.",
        "good": [
            good("probe", probe),
            good("probe that only compares", comparing),
            good("probe of full size", probe, full_size=True),
            good("reply ipv4", reply),
            good("reply ipv6", late),
        ],
        "refused": [
            case("reflected: made with the receiver's own key", probe.encode(FROM_RECEIVER)),
            case("one byte short", data[:-1]),
            case("one byte long", data + b"\0"),
            case("version 2", changed(data, 1, 2)),
            case("unknown flag", changed(data, 3, 2)),
            case("flag changed", changed(data, 3, 1)),
            case("flag in a reply", changed(reply.encode(FROM_SENDER), 3, 1)),
            case("padding not zero", changed(full_size, FULL_SIZE_BYTES - 1, 1)),
            case("padding one byte short", full_size[:-1]),
            case("reply with padding", reply.encode(FROM_SENDER, full_size=True)),
            case("observed endpoint in a probe", changed(reply.encode(FROM_SENDER), 0, 0x44)),
            case("reply without an observed endpoint", changed(data, 0, 0x45)),
            case("mac changed", changed(data, 69, data[69] ^ 1)),
            case("time changed", changed(data, 35, data[35] ^ 1)),
            case("another type", changed(data, 0, 0x46)),
        ],
    }


def good(name: str, datagram: ProbeDatagram, *, full_size: bool = False) -> Case:
    encoded = case(name, datagram.encode(FROM_SENDER, full_size=full_size))
    read = {"tag": FROM_SENDER.tag.hex(), "observed": str(datagram.observed or ""), "compares": datagram.compares}
    return {**encoded, **read}


def case(name: str, datagram: bytes) -> Case:
    return {
        "name": name,
        "probe_key": PROBE_KEY.hex(),
        "sender": SENDER.raw.hex(),
        "receiver": RECEIVER.raw.hex(),
        "datagram": datagram.hex(),
    }


def changed(data: bytes, offset: int, value: int) -> bytes:
    return data[:offset] + bytes([value]) + data[offset + 1 :]

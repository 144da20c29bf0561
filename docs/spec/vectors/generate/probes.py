"""Path probes: what is taken, and what is refused."""

from __future__ import annotations

from people import Case

from shadowmesh.identity.names import PeerID
from shadowmesh.paths.probe_datagram import ProbeDatagram, ProbeKeys
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
    data = probe.encode(FROM_SENDER)
    return {
        "comment": "Path probes, docs/spec/paths.md section 5.1, in hex. Tag and observed: as the receiver reads them.",
        "good": [good("probe", probe), good("reply ipv4", reply), good("reply ipv6", late)],
        "refused": [
            case("reflected: made with the receiver's own key", probe.encode(FROM_RECEIVER)),
            case("one byte short", data[:-1]),
            case("one byte long", data + b"\0"),
            case("version 2", changed(data, 1, 2)),
            case("reserved not zero", changed(data, 3, 1)),
            case("observed endpoint in a probe", changed(reply.encode(FROM_SENDER), 0, 0x44)),
            case("reply without an observed endpoint", changed(data, 0, 0x45)),
            case("mac changed", changed(data, 69, data[69] ^ 1)),
            case("time changed", changed(data, 35, data[35] ^ 1)),
            case("another type", changed(data, 0, 0x46)),
        ],
    }


def good(name: str, datagram: ProbeDatagram) -> Case:
    observed = str(datagram.observed or "")
    return {**case(name, datagram.encode(FROM_SENDER)), "tag": FROM_SENDER.tag.hex(), "observed": observed}


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

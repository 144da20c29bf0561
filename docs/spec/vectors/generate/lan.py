"""LAN discovery: tags, keys, announcements and sealed datagrams; what is taken, and what is refused."""

from __future__ import annotations

from people import ALICE, BOB, CAROL, Case

from shadowmesh.paths.lan.announcement import Announcement
from shadowmesh.paths.lan.pair_secret import PairSecret
from shadowmesh.paths.lan.record_transfer import RecordChunk, RecordRequest, seal

NONCE = bytes(range(16))
IV = bytes(range(0x50, 0x5C))
TO_BOB = PairSecret.derive(ALICE.fingerprint, BOB.fingerprint, NONCE)
TO_CAROL = PairSecret.derive(ALICE.fingerprint, CAROL.fingerprint, NONCE)


def lan_vectors() -> Case:
    filling = [bytes([number]) * 8 for number in range(6)]
    tags = tuple(sorted([TO_BOB.tag, TO_CAROL.tag, *filling]))
    announcement = Announcement(41641, NONCE, tags).encode()
    request = seal(RecordRequest(3), TO_BOB, lambda _: IV)
    chunk = seal(RecordChunk(bytes(range(8)), 1, 2, b"the record's second part"), TO_BOB, lambda _: IV)
    return {
        "comment": "LAN discovery, docs/spec/lan.md, in hex. From alice, whose nonce it is, to bob and carol.",
        "announcer": ALICE.fingerprint.raw.hex(),
        "nonce": NONCE.hex(),
        "listeners": [
            {"fingerprint": who.fingerprint.raw.hex(), "tag": secret.tag.hex(), "key": secret.key.hex()}
            for who, secret in ((BOB, TO_BOB), (CAROL, TO_CAROL))
        ],
        "announcement": {"port": 41641, "datagram": announcement.hex()},
        "announcements_refused": [
            case("one byte short", announcement[:-1]),
            case("no tags", announcement[:20]),
            case("nine tags", announcement + bytes(8)),
            case("72 tags", announcement[:20] + bytes(72 * 8)),
            case("version 2", changed(announcement, 1, 2)),
            case("port 0", announcement[:2] + bytes(2) + announcement[4:]),
            case("another type", changed(announcement, 0, 0x47)),
        ],
        "request": {"index": 3, "datagram": request.hex()},
        "chunk": {
            "record_prefix": bytes(range(8)).hex(),
            "index": 1,
            "count": 2,
            "data": b"the record's second part".hex(),
            "datagram": chunk.hex(),
        },
        "sealed_refused": [
            case("one byte short", request[:-1]),
            case("version 2", changed(request, 1, 2)),
            case("reserved not zero", changed(request, 3, 1)),
            case("a request that says it is a chunk", changed(request, 0, 0x47)),
            case("a chunk that says it is a request", changed(chunk, 0, 0x46)),
            case("sealed for carol", seal(RecordRequest(3), TO_CAROL, lambda _: IV)),
            case("chunk number beyond any record", seal(RecordRequest(8), TO_BOB, lambda _: IV)),
            case("chunk 2 of 2", seal(RecordChunk(bytes(8), 2, 2, b"x"), TO_BOB, lambda _: IV)),
            case("a chunk without data", seal(RecordChunk(bytes(8), 0, 1, b""), TO_BOB, lambda _: IV)),
        ],
    }


def case(name: str, datagram: bytes) -> Case:
    return {"name": name, "datagram": datagram.hex()}


def changed(data: bytes, offset: int, value: int) -> bytes:
    return data[:offset] + bytes([value]) + data[offset + 1 :]

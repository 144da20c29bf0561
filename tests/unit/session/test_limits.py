"""Every table that a stranger can fill, and a flood of three times its bound."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.session.harness import World, endpoint, identity, seeded_entropy
from tests.unit.session.test_half_open import made_half_open

from shadowmesh.identity.names import Fingerprint
from shadowmesh.session import limits
from shadowmesh.session.amplification import AddressBudget
from shadowmesh.session.completed import CompletedTable
from shadowmesh.session.cookie_jar import CookieJar
from shadowmesh.session.events import DropReason, Role
from shadowmesh.session.fragments import Fragment, cut
from shadowmesh.session.half_open import HalfOpenTable
from shadowmesh.session.messages import M1_BYTES, M3_BYTES
from shadowmesh.session.peers import AllowedPeers
from shadowmesh.session.ratchet import Ratchet
from shadowmesh.session.ratchet_messages import RatchetMessage, RatchetStep, ratchet_cid
from shadowmesh.session.reassembly import Reassembler
from shadowmesh.wire.open_ids import OpenIds

PEER = identity(1).peer_id
NO_TABLES = {  # bounds of a field, of an effort or of a timer; each is tested where it is used
    "MAX_FRAGMENTS",
    "MAX_MESSAGE_BYTES",
    "MAX_COMBINATIONS",
    "MAX_REPAIR_REQUESTS",
    "MAX_REPAIR_ANSWERS",
    "MAX_RETRANSMIT_S",
    "MAX_RATCHET_RESEND_S",
    "MAX_COOKIES_AN_ENDPOINT",
}


def half_open(count: int) -> int:
    table = HalfOpenTable(OpenIds())
    for number in range(count):
        table.add(made_half_open(number, prefix_of=number))
    return len(table)


def half_open_of_one_prefix(count: int) -> int:
    table = HalfOpenTable(OpenIds())
    for number in range(count):
        table.add(made_half_open(number))
    return len(table)


def used(count: int) -> int:
    table = HalfOpenTable(OpenIds())
    for number in range(count):
        table.close(made_half_open(number), 0.0)
    return sum(table.used(made_half_open(number).h1, 1.0) for number in range(count))


def completed(count: int) -> int:
    table = CompletedTable(OpenIds())
    for number in range(count):
        table.add(number.to_bytes(8, "big"), PEER, bytes(76), 0.0)
    return len(table)


def cookies(count: int) -> int:
    table = CookieJar()
    for number in range(count):
        table.put(PEER, endpoint(number), bytes(16), 0.0)
    return len(table)


def unproved_addresses(count: int) -> int:
    budget = AddressBudget()
    for number in range(count):
        budget.credit(endpoint(number), 1)
    return sum(budget.spend(endpoint(number), 1) for number in range(count))


def endpoints(count: int) -> int:
    world = World()
    a, b = world.pair()
    world.connect(a, b, [endpoint(100 + number) for number in range(count)])
    return len({sent.destination for sent in world.sent})


def allowed_peers(count: int) -> int:
    peers = AllowedPeers()
    admitted = 0
    for number in range(count):
        try:
            peers.allow(Fingerprint(number.to_bytes(32, "little")), None)
        except ValueError:
            continue
        admitted += 1
    return admitted


def unvalidated_reassemblies(count: int) -> int:
    return _unfinished_message1(count, sources=count)


def unvalidated_of_one_prefix(count: int) -> int:
    return _unfinished_message1(count, sources=1)


def known_reassemblies(count: int) -> int:
    table = Reassembler(max_buffers=limits.MAX_KNOWN_REASSEMBLIES, max_a_group=limits.MAX_KNOWN_A_SOURCE, asks=True)
    for number in range(count):
        table.add(_fragment(3, number, M3_BYTES), endpoint(number), number, 0.0)
    return len(table)


def known_of_one_source(count: int) -> int:
    table = Reassembler(max_buffers=limits.MAX_KNOWN_REASSEMBLIES, max_a_group=limits.MAX_KNOWN_A_SOURCE, asks=True)
    for number in range(count):
        table.add(_fragment(3, number, M3_BYTES), endpoint(1), "one", 0.0)
    return len(table)


def variants(count: int) -> int:
    table = Reassembler(max_buffers=1, max_a_group=1, asks=False)
    genuine = _fragment(1, 1, M1_BYTES)
    most = 0
    for number in range(count):
        table.add(Fragment(genuine.flight, 0, bytes([number]) * len(genuine.payload)), endpoint(1), "one", 0.0)
        most = max(most, table.held_bytes // len(genuine.payload))
    return most


def ratchet_reassemblies(count: int) -> int:
    """By who knows the cid. What is held comes to light when the second halves follow: only kept ones are opened."""
    psk = bytes(32)
    ratchet = Ratchet(Role.RESPONDER, psk, entropy=seeded_entropy(1), now=0.0)
    cid = ratchet_cid(psk)
    forged = [
        cut(5, cid, RatchetMessage.seal(RatchetStep.OFFER, 0, bytes([number]) * 32, cid, bytes(1568)).encode())
        for number in range(1, count + 1)
    ]
    for half in (0, 1):
        for message in reversed(forged) if half else forged:
            ratchet.receive_datagram(message.datagrams[half], endpoint(1), 0.0)
    return ratchet.drops[DropReason.UNDECRYPTABLE]


TABLES: dict[str, Callable[[int], int]] = {
    "MAX_UNVALIDATED_REASSEMBLIES": unvalidated_reassemblies,
    "MAX_UNVALIDATED_A_PREFIX": unvalidated_of_one_prefix,
    "MAX_KNOWN_REASSEMBLIES": known_reassemblies,
    "MAX_KNOWN_A_SOURCE": known_of_one_source,
    "MAX_VARIANTS": variants,
    "MAX_ENDPOINTS": endpoints,
    "MAX_HALF_OPEN": half_open,
    "MAX_HALF_OPEN_A_PREFIX": half_open_of_one_prefix,
    "MAX_UNPROVED_ADDRESSES": unproved_addresses,
    "MAX_COMPLETED": completed,
    "MAX_USED": used,
    "MAX_COOKIES": cookies,
    "MAX_RATCHET_REASSEMBLIES": ratchet_reassemblies,
    "MAX_ALLOWED_PEERS": allowed_peers,
}


@pytest.mark.parametrize("name", TABLES)
def test_a_flood_fills_a_table_to_its_bound_and_no_further(name: str) -> None:
    bound: int = getattr(limits, name)
    assert TABLES[name](3 * bound) == bound


def test_every_bound_is_of_a_table_that_is_flooded_here_or_of_no_table() -> None:
    named = {name for name in vars(limits) if name.startswith("MAX_")}
    assert named == TABLES.keys() | NO_TABLES


def _unfinished_message1(count: int, *, sources: int) -> int:
    """First halves from strangers, through the handshaker."""
    world = World()
    node = world.node(1)
    for number in range(count):
        half = _fragment(1, number, M1_BYTES)
        world.inject(half.encode(), endpoint(10 + number % sources), node)
    return node.handshaker.reassembly_bytes // len(half.payload)


def _fragment(message: int, number: int, length: int) -> Fragment:
    name = number.to_bytes(8, "big")
    return Fragment.decode(cut(message, name, name + bytes(length - 8)).datagrams[0])

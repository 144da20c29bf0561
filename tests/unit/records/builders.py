"""Records with good defaults."""

from dataclasses import replace
from functools import cache
from typing import Any

from tests.unit.identity.people import ALICE, BOB, CAROL

from shadowmesh.records.peer_record import Lease, Mode, Operator, PeerRecord, SignedRecord
from shadowmesh.wire.endpoint import Endpoint

NOW = 1_800_000_000


def private_record(**changes: Any) -> PeerRecord:
    record = PeerRecord(
        public=ALICE.public,
        sequence=7,
        issued_at=NOW,
        ttl_s=86400,
        wireguard_key=bytes(range(32)),
        home_relays=(BOB.peer_id, CAROL.peer_id),
    )
    return replace(record, **changes)


def public_record(**changes: Any) -> PeerRecord:
    record = private_record(
        mode=Mode.PUBLIC,
        capabilities=3,
        region=3,
        endpoints=(Endpoint.of("192.0.2.1", 41641), Endpoint.of("2001:db8::1", 443)),
        lease=Lease(bytes(4), 9),
        operator=Operator(80002, b"\xc0" * 20, b"\x0e" * 20),
    )
    return replace(record, **changes)


@cache
def signed_record() -> SignedRecord:
    return public_record().sign(ALICE)

"""Records as stores hold them."""

from tests.unit.backbone.client import record_of

from shadowmesh.backbone.stores.record_store import StoredRecord
from shadowmesh.identity.keys import Identity


def test_a_stored_record_keeps_the_bytes_and_what_is_asked_of_them() -> None:
    signed = record_of(Identity(b"1" * 32), sequence=7, issued_at=1000, ttl_s=60)
    stored = StoredRecord.of(signed)
    assert (stored.peer, stored.record_id) == (signed.peer_id, signed.record_id)
    assert (stored.sequence, stored.issued_at, stored.expires_at) == (7, 1000, 1060)
    assert stored.decode() == signed

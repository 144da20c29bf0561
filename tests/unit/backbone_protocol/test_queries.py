from tests.unit.records.builders import signed_record

from shadowmesh.backbone_protocol import body
from shadowmesh.backbone_protocol.queries import PeerReply
from shadowmesh.identity.names import PeerID
from shadowmesh.records.hints import Hints
from shadowmesh.wire.endpoint import Endpoint


def test_a_repeated_look_up_takes_less_than_a_quarter_kb() -> None:
    endpoints = tuple(Endpoint.of("2001:db8::1", port) for port in (1, 2, 443, 65535))
    hints = Hints(online=True, last_seen_at=2**39, endpoints=endpoints, relay=PeerID(bytes(20)))
    reply = PeerReply(record_id=signed_record().record_id, hints=hints.encode())
    assert len(body.encode_cbor(reply)) < 256
    assert len(body.encode_json(reply)) < 450


def test_a_first_look_up_carries_the_record_as_it_was_received() -> None:
    signed = signed_record()
    reply = PeerReply(record_id=signed.record_id, hints=b"", record=signed.encoded)
    received = body.decode_cbor(body.encode_cbor(reply), PeerReply)
    assert received.record == signed.encoded

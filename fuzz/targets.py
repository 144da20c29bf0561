"""The decoders of untrusted bytes. A target's name is its folder in the corpus."""

from collections.abc import Callable
from dataclasses import dataclass

from shadowmesh.backbone_protocol import body, updates
from shadowmesh.backbone_protocol.login import LoginReply, LoginRequest
from shadowmesh.backbone_protocol.proof import Proof
from shadowmesh.backbone_protocol.queries import PeerReply
from shadowmesh.identity import key_file
from shadowmesh.identity.names import parse_name
from shadowmesh.paths.candidates import Candidate
from shadowmesh.paths.lan.announcement import Announcement
from shadowmesh.paths.lan.pair_secret import TAG_BYTES, PairSecret
from shadowmesh.paths.lan.record_transfer import RecordChunk, RecordRequest, open_sealed, tag_in
from shadowmesh.paths.nat_behaviour import NatBehaviour
from shadowmesh.paths.port_mapping import nat_pmp, pcp
from shadowmesh.paths.port_mapping.ssdp import SearchResponse
from shadowmesh.records.cache_entry import CacheEntry
from shadowmesh.records.directory import DirectoryRefused, SignedDirectory
from shadowmesh.records.hints import Hints
from shadowmesh.records.peer_record import RecordRefused, SignedRecord
from shadowmesh.session.cookie_reply import CookieReply
from shadowmesh.session.fragments import Fragment, MissingRequest
from shadowmesh.session.messages import Finished, InitiatorProof, Message1, Message2Head, ResponderProof
from shadowmesh.session.ratchet_messages import RatchetMessage, RatchetStep
from shadowmesh.wire import cbor
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError
from shadowmesh.wire.first_byte import classify


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    decode: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...] = (DecodeError,)


def _cbor(data: bytes) -> None:
    value = cbor.decode(data, max_bytes=65536, what="fuzz")
    assert cbor.encode(value) == data  # noqa: S101 - a second form of the same value is a finding


def _endpoint(data: bytes) -> None:
    assert Endpoint.decode(data).encode() == data  # noqa: S101 - as above


def _record(data: bytes) -> None:
    signed = SignedRecord.decode(data)
    signed.accept(signed.peer_id, now=signed.record.issued_at)


def _directory(data: bytes) -> None:
    signed = SignedDirectory.decode(data)
    trusted = [node.fingerprint for node in signed.directory.nodes]
    signed.accept(trusted, now=signed.directory.issued_at)


def _login_request(data: bytes) -> None:
    body.decode_cbor(data, LoginRequest).digest()


def _login_request_json(data: bytes) -> None:
    body.decode_json(data, LoginRequest).digest()


def _login_reply(data: bytes) -> None:
    body.encode_cbor(body.decode_cbor(data, LoginReply))


def _peer_reply(data: bytes) -> None:
    body.encode_cbor(body.decode_cbor(data, PeerReply))


def _key_file(data: bytes) -> None:
    key_file.decode(data, None)


def _name(data: bytes) -> None:
    parse_name(data.decode("latin-1"))


def _proof(data: bytes) -> None:
    Proof.parse(data.decode("latin-1"))


def _session_fragment(data: bytes) -> None:
    assert Fragment.decode(data).encode() == data  # noqa: S101 - as above


def _session_message1(data: bytes) -> None:
    assert Message1.decode(data).encode() == data  # noqa: S101 - as above


def _session_proof(data: bytes) -> None:
    assert InitiatorProof.decode(data).encode() == data  # noqa: S101 - as above


def _session_ratchet(data: bytes) -> None:
    step = RatchetStep.OFFER if len(data) > 100 else RatchetStep.CONFIRM
    assert RatchetMessage.decode(step, data).encode() == data  # noqa: S101 - as above


def _candidate(data: bytes) -> None:
    assert Candidate.decode(data).encode() == data  # noqa: S101 - as above


def _nat_behaviour(data: bytes) -> None:
    behaviour = NatBehaviour.decode(data)
    assert NatBehaviour.decode(behaviour.encode()) == behaviour  # noqa: S101 - as above


def _lan_announcement(data: bytes) -> None:
    assert Announcement.decode(data).encode() == data  # noqa: S101 - as above


def _lan_message(data: bytes) -> None:
    kind = RecordRequest if data[:1] < b"\x08" and not any(data[1:]) else RecordChunk
    assert kind.decode(data).encode() == data  # noqa: S101 - as above


def _lan_sealed(data: bytes) -> None:
    tag_in(data)
    open_sealed(data, PairSecret(bytes(TAG_BYTES), bytes(32)))


def _nat_pmp_request(data: bytes) -> None:
    kind = nat_pmp.AddressRequest if len(data) == nat_pmp.AddressRequest.SIZE else nat_pmp.MapRequest
    kind.decode(data)


def _pcp_response(data: bytes) -> None:
    response = pcp.decode_response(data)
    assert pcp.decode_response(response.encode()) == response  # noqa: S101 - as above


TARGETS = (
    Target("cache_entry", CacheEntry.decode),
    Target("candidate", _candidate),
    Target("cbor", _cbor),
    Target("client_message", updates.decode_client_message),
    Target("directory", _directory, (DecodeError, DirectoryRefused)),
    Target("endpoint", _endpoint),
    Target("first_byte", classify, ()),
    Target("hints", Hints.decode),
    Target("key_file", _key_file, (DecodeError, key_file.PassphraseNeeded)),
    Target("lan_announcement", _lan_announcement),
    Target("lan_message", _lan_message),
    Target("lan_sealed", _lan_sealed),
    Target("login_reply", _login_reply),
    Target("login_request", _login_request),
    Target("login_request_json", _login_request_json),
    Target("name", _name),
    Target("nat_behaviour", _nat_behaviour),
    Target("nat_pmp_request", _nat_pmp_request),
    Target("nat_pmp_response", nat_pmp.decode_response),
    Target("pcp_request", pcp.MapRequest.decode),
    Target("pcp_response", _pcp_response),
    Target("peer_reply", _peer_reply),
    Target("proof", _proof),
    Target("record", _record, (DecodeError, RecordRefused)),
    Target("server_message", updates.decode_server_message),
    Target("session_cookie_reply", CookieReply.decode),
    Target("session_finished", Finished.decode),
    Target("session_fragment", _session_fragment),
    Target("session_initiator_proof", _session_proof),
    Target("session_message1", _session_message1),
    Target("session_message2_head", Message2Head.decode),
    Target("session_missing_request", MissingRequest.decode),
    Target("session_ratchet", _session_ratchet),
    Target("session_responder_proof", ResponderProof.decode),
    Target("ssdp_response", SearchResponse.decode),
)

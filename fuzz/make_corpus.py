"""Writes the corpus from the vectors of docs/spec and one example of each message: `python -m fuzz.make_corpus`.

Files that somebody else put there, such as an input that once failed, stay. Run it when a format has changed.
"""

import json
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from fuzz.run import CORPUS
from shadowmesh.backbone_protocol import body, updates
from shadowmesh.backbone_protocol.login import Challenge, LoginReply, LoginRequest
from shadowmesh.backbone_protocol.proof import Proof
from shadowmesh.backbone_protocol.queries import PeerReply
from shadowmesh.identity.keys import Identity
from shadowmesh.paths.lan.record_transfer import RecordChunk, RecordRequest
from shadowmesh.paths.nat_behaviour import UNKNOWN_NAT
from shadowmesh.paths.port_mapping import nat_pmp, pcp
from shadowmesh.paths.port_mapping.ssdp import GATEWAY_TYPES, SearchResponse
from shadowmesh.session.messages import Claim, Finished, InitiatorProof, Message2Head, ResponderProof
from shadowmesh.wire import cbor
from shadowmesh.wire.endpoint import Endpoint

_VECTORS = Path("docs/spec/vectors")
_ALICE, _BOB = Identity(b"\1" * 32), Identity(b"\2" * 32)


def main() -> None:
    from_vectors()
    small_messages()
    login_messages()
    session_messages()
    port_mapping_messages()
    lan_messages()


def from_vectors() -> None:
    records, directories, identities = load("records"), load("directory"), load("identity")
    write("record", [bytes.fromhex(case["record"]) for case in records["accepted"][:5]])
    write("directory", [bytes.fromhex(case["directory"]) for case in directories["accepted"][:2]])
    write("hints", [bytes.fromhex(case["hints"]) for case in load("hints")["accepted"]])
    write("cache_entry", [bytes.fromhex(case["entry"]) for case in load("cache_entry")["accepted"]])
    write("cbor", [bytes.fromhex(case["cbor"]) for case in records["cbor_refused"]])
    punching = load("punching")
    write("candidate", [bytes.fromhex(case["candidate"]) for case in punching["candidates"]])
    write("nat_behaviour", [bytes.fromhex(case["nat"]) for case in punching["nat_behaviours"]])
    write("first_byte", [bytes.fromhex(case["hex"]) for case in load("first_byte")])
    plain_or_sealed = [case["file"].encode() for case in identities["key_files"][:2]]
    write("key_file", [*plain_or_sealed, *(case["file"].encode() for case in identities["key_files_refused"])])
    write("name", [key[text].encode() for key in identities["keys"] for text in ("peer_id_text", "fingerprint_text")])


def small_messages() -> None:
    write("endpoint", [Endpoint.of("192.0.2.1", 41641).encode(), Endpoint.of("2001:db8::1", 443).encode()])
    write("proof", [Proof.make(bytes(32), "PUT", "/", b"", issued_at=1_800_000_000, counter=7).header().encode()])
    peer, token, endpoints = _ALICE.peer_id.raw, bytes(range(16)), [Endpoint.of("192.0.2.1", 41641).encode()]
    call = updates.Call(peer, token, False, [b"\1" + endpoints[0]], UNKNOWN_NAT.encode())
    client: list[updates.ClientMessage] = [
        updates.Subscribe([peer]),
        updates.Unsubscribe([peer, peer]),
        updates.SetHints(endpoints),
        call,
    ]
    write("client_message", [updates.encode(message) for message in client])
    server: list[updates.ServerMessage] = [
        updates.Update(peer, bytes(32), b"\xa2\0\xf5\1\0"),
        updates.CallFailed(peer, token, "offline"),
        updates.Refused("rate-limited", "wait"),
        call,
    ]
    write("server_message", [updates.encode(message) for message in server])
    values: list[Any] = [{0: 1, 1: b"x", 23: "y", 100: [None, True, -1], -1: {}}, [[[[[[[[]]]]]]]], 2**64 - 1]
    write("cbor", [cbor.encode(value) for value in values], prefix="value")


def login_messages() -> None:
    challenge = Challenge(challenge=bytes(32), expires=1_800_000_090, tag=bytes(16), server=_BOB.peer_id.raw)
    request = LoginRequest(
        challenge=challenge.challenge,
        expires=challenge.expires,
        tag=challenge.tag,
        client_nonce=bytes(32),
        peer_id=_ALICE.peer_id.raw,
        ek=bytes(1568),
        mode=0,
        region=3,
        public_key=_ALICE.public.public_key,
    ).signed_by(_ALICE, _BOB.peer_id, "b1.example")
    reply = LoginReply(
        ct=bytes(1568), token="", token_expires=1_800_086_400, directory_version=2, next_challenge=challenge
    ).signed_by(_BOB, request)
    write("login_request", [body.encode_cbor(request)])
    write("login_request_json", [body.encode_json(request)])
    write("login_reply", [body.encode_cbor(reply.confirmed(bytes(32)))])
    write("peer_reply", [body.encode_cbor(PeerReply(record_id=bytes(32), hints=b"\xa2\0\xf5\1\0", record=bytes(99)))])


def session_messages() -> None:
    vectors = load("session")
    fragments = [*vectors["fragments"], *vectors["fragments_refused"]]
    write("session_fragment", [bytes.fromhex(case["datagram"]) for case in fragments])
    write("session_missing_request", [bytes.fromhex(case["datagram"]) for case in vectors["missing_requests"]])
    first = vectors["ratchet"]["chain"][0]
    write("session_ratchet", [bytes.fromhex(first[step]) for step in ("offer", "confirm")])
    write("session_cookie_reply", [bytes.fromhex(vectors["cookie_reply"]["datagram"])])
    write("session_message1", [bytes.fromhex(vectors["message1"]["message"])])
    claim = Claim(bytes(8), 7, bytes(32), 8)
    write("session_message2_head", [Message2Head(bytes(8), bytes(32), bytes(1568)).encode()])
    write("session_responder_proof", [ResponderProof(claim, bytes(4627)).encode()])
    proofs = [InitiatorProof(_ALICE.peer_id, claim, bytes(4627), record) for record in (b"", bytes(99))]
    write("session_initiator_proof", [proof.encode() for proof in proofs])
    write("session_finished", [Finished(bytes(32), 0).encode()])


def port_mapping_messages() -> None:
    outside, inside, nonce = IPv4Address("11.18.0.1"), IPv4Address("192.168.7.11"), bytes(range(12))
    write("nat_pmp_request", [nat_pmp.AddressRequest().encode(), nat_pmp.MapRequest(41641, 41641, 3600).encode()])
    nat_pmp_responses: list[nat_pmp.Response] = [
        nat_pmp.AddressResponse(7, outside),
        nat_pmp.MapResponse(7, 41641, 41642, 3600),
        nat_pmp.ErrorResponse(1, nat_pmp.ResultCode.NOT_AUTHORIZED, 7),
    ]
    write("nat_pmp_response", [response.encode() for response in nat_pmp_responses])
    request = pcp.MapRequest(inside, nonce, 41641, 41641, outside, 3600).encode()
    option = bytes.fromhex("8000000361626300")
    write("pcp_request", [request])
    pcp_responses: list[pcp.Response] = [
        pcp.MapResponse(nonce, 41641, 41642, outside, 3600, 7),
        pcp.AnnounceResponse(7),
        pcp.ErrorResponse(1, pcp.ResultCode.NO_RESOURCES, 30, 7, nonce),
        pcp.ErrorResponse(1, pcp.ResultCode.UNSUPP_VERSION, 0, 7),
    ]
    encoded = [response.encode() for response in pcp_responses]
    write("pcp_response", [*encoded, encoded[0] + option])
    write("ssdp_response", [SearchResponse("http://192.168.7.1:5000/rootDesc.xml", GATEWAY_TYPES[0]).encode()])


def lan_messages() -> None:
    vectors = load("lan")
    write("lan_announcement", [bytes.fromhex(vectors["announcement"]["datagram"])])
    write("lan_sealed", [bytes.fromhex(vectors[name]["datagram"]) for name in ("request", "chunk")])
    write("lan_message", [RecordRequest(3).encode(), RecordChunk(bytes(8), 1, 7, bytes(1150)).encode()])


def load(name: str) -> Any:
    return json.loads((_VECTORS / f"{name}.json").read_text())


def write(target: str, inputs: list[bytes], *, prefix: str = "vector") -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(inputs):
        (folder / f"{prefix}-{number:02}").write_bytes(data)


if __name__ == "__main__":
    main()

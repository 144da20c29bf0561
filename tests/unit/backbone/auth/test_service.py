"""Log-in as a client sees it: what is accepted, and what each refusal is called."""

import asyncio
import hashlib
import json
import threading
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PrivateKey
from tests.unit.backbone.client import Answer, Client, Refusal, record_of
from tests.unit.backbone.world import World, limited, world

from shadowmesh.backbone.auth.tokens import RENEWABLE_FOR_S, TOKEN_LIFETIME_S
from shadowmesh.backbone.limits.rates import Rate
from shadowmesh.backbone.limits.verification import MAX_WAITING
from shadowmesh.backbone_protocol.body import decode_cbor, decode_json, encode_cbor
from shadowmesh.backbone_protocol.login import LoginReply, LoginRequest
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.proof import Proof
from shadowmesh.identity.keys import Identity
from shadowmesh.wire import cbor


async def test_a_login_gives_a_token_and_a_confirmed_key(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        challenge = await client.challenge()
        request, secret = client.login_request(challenge)
        reply = decode_cbor((await post_login(client, request)).body, LoginReply)
        reply.verify(w.identity.public, request)
        reply.check_confirmation(reply.proof_key(secret.decapsulate(reply.ct), request))
        assert reply.token_expires == w.now + TOKEN_LIFETIME_S
        assert reply.directory_version == w.services.directory.version


async def test_the_next_challenge_of_a_reply_serves_the_next_login(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        reply = await client.login()
        await client.login(challenge=reply.next_challenge)


async def test_a_challenge_is_good_for_one_login(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        challenge = await client.challenge()
        await client.login(challenge=challenge)
        assert await refused(client.login(challenge=challenge)) is Problem.CHALLENGE_REPLAYED


async def test_a_challenge_is_spent_even_by_a_signature_that_does_not_verify(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        challenge = await client.challenge()
        request, _ = client.login_request(challenge)
        assert await refused(post_login(client, with_sig(request, bytes(4627)))) is Problem.BAD_SIGNATURE
        assert await refused(post_login(client, request)) is Problem.CHALLENGE_REPLAYED


async def test_the_key_of_another_peer_id_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client, other = w.client(), w.client()
        request, _ = client.login_request(await client.challenge())
        changed = msgspec.structs.replace(request, public_key=other.identity.public.public_key)
        assert await refused(post_login(client, changed)) is Problem.WRONG_KEY


async def test_a_login_without_a_signature_is_malformed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        request, _ = client.login_request(await client.challenge())
        assert await refused(post_login(client, with_sig(request, None))) is Problem.MALFORMED


async def test_an_encapsulation_key_out_of_range_is_malformed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        request, _ = client.login_request(await client.challenge())
        bad = msgspec.structs.replace(request, ek=b"\xff" * 1568, sig=None)
        bad = bad.signed_by(client.identity, w.identity.peer_id, client.authority)
        assert await refused(post_login(client, bad)) is Problem.MALFORMED


async def test_the_key_may_be_left_out_once_the_record_is_here(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        await client.publish(record_of(client.identity, issued_at=w.now))
        await client.login(send_key=False)


async def test_a_needed_key_costs_no_challenge(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        challenge = await client.challenge()
        assert await refused(client.login(challenge=challenge, send_key=False)) is Problem.PUBLIC_KEY_NEEDED
        await client.login(challenge=challenge)


async def test_the_eleventh_challenge_in_a_row_must_wait(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(challenges_per_address=Rate(10 / 60, 10))) as w:
        client = w.client()
        for _ in range(10):
            await client.challenge()
        with pytest.raises(Refusal) as refusal:
            await client.challenge()
        assert refusal.value.problem is Problem.RATE_LIMITED
        assert refusal.value.answer.headers["retry-after"] == "6"
        await w.client(address="192.0.2.9").challenge()
        w.clock.advance(6)
        await client.challenge()


async def test_logins_of_one_address_are_limited(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(logins_per_address=Rate(1, 2))) as w:
        await w.logged_in()
        await w.logged_in()
        assert await refused(w.client().login()) is Problem.RATE_LIMITED


async def test_logins_of_one_peer_are_limited(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(logins_per_peer=Rate(1, 1))) as w:
        client = await w.logged_in()
        assert await refused(client.login()) is Problem.RATE_LIMITED


async def test_a_stranger_cannot_use_up_a_peers_logins(tmp_path: Path) -> None:
    async with world(tmp_path, rates=limited(logins_per_peer=Rate(1, 1))) as w:
        client = w.client()
        for _ in range(5):
            request, _ = client.login_request(await client.challenge())
            assert await refused(post_login(client, with_sig(request, bytes(4627)))) is Problem.BAD_SIGNATURE
        await client.login()


async def test_the_operators_own_networks_are_not_limited_by_address(tmp_path: Path) -> None:
    rates = limited(challenges_per_address=Rate(0.001, 1), requests_per_address=Rate(0.001, 1))
    async with world(tmp_path, rates=rates, unlimited_from=(ip_network("192.0.2.0/24"),)) as w:
        for _ in range(5):
            await w.client().challenge()


async def test_the_one_after_256_that_wait_is_sent_away(tmp_path: Path) -> None:
    async with world(tmp_path, workers=1) as w:
        gate = threading.Event()
        busy = [asyncio.create_task(occupy(w, gate.wait)) for _ in range(1 + MAX_WAITING)]
        await asyncio.sleep(0)
        client = w.client()
        challenge = await client.challenge()
        with pytest.raises(Refusal) as refusal:
            await client.login(challenge=challenge)
        assert refusal.value.problem is Problem.OVERLOADED
        assert int(refusal.value.answer.headers["retry-after"]) >= 1
        gate.set()
        await asyncio.gather(*busy)
        await client.login(challenge=challenge)


async def test_a_renewal_keeps_the_key_and_moves_the_expiry(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        w.clock.advance(TOKEN_LIFETIME_S / 2)
        reply = await client.renew()
        assert reply.token_expires == w.now + TOKEN_LIFETIME_S
        await client.publish(record_of(client.identity, issued_at=w.now))


async def test_renewals_end_after_seven_days(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        for _ in range(RENEWABLE_FOR_S // (TOKEN_LIFETIME_S // 2) - 1):
            w.clock.advance(TOKEN_LIFETIME_S / 2)
            await client.renew()
        w.clock.advance(TOKEN_LIFETIME_S / 2)
        assert await refused(client.renew()) is Problem.RENEWAL_OVER


async def post_login(client: Client, request: LoginRequest) -> Answer:
    return await client.send("POST", "/v1/auth/login", encode_cbor(request))


def test_the_vectors_of_the_specification() -> None:
    vector = json.loads(Path("docs/spec/vectors/login.json").read_text())
    client, server = (Identity(bytes.fromhex(vector[name])) for name in ("client_seed", "server_seed"))
    request = decode_cbor(bytes.fromhex(vector["request"]), LoginRequest)
    assert decode_json(vector["request_json"].encode(), LoginRequest) == request
    request.verify(client.public, server.peer_id, vector["authority"])
    unsigned = {name: getattr(request, name) for name in request.__struct_fields__ if name != "sig"}
    signed = cbor.encode({**unsigned, "server": server.peer_id.raw, "authority": vector["authority"]})
    assert hashlib.sha256(signed).hexdigest() == vector["request_signed_bytes_sha256"]
    assert request.digest().hex() == vector["request_digest"]
    secret = MLKEM1024PrivateKey.from_seed_bytes(bytes.fromhex(vector["ek_seed"]))
    assert secret.public_key().public_bytes_raw() == request.ek
    reply = decode_cbor(bytes.fromhex(vector["reply"]), LoginReply)
    reply.verify(server.public, request)
    assert secret.decapsulate(reply.ct).hex() == vector["shared_secret"]
    key = reply.proof_key(bytes.fromhex(vector["shared_secret"]), request)
    assert key.hex() == vector["proof_key"]
    reply.check_confirmation(key)
    for case in vector["proofs"]:
        proof = Proof.parse(case["header"])
        assert (proof.issued_at, proof.counter) == (case["issued_at"], case["counter"])
        assert proof.proves(key, case["method"], case["path"], bytes.fromhex(case["body"]))


async def refused(attempt: Awaitable[object]) -> Problem | None:
    with pytest.raises(Refusal) as refusal:
        await attempt
    return refusal.value.problem


def with_sig(request: LoginRequest, sig: bytes | None) -> LoginRequest:
    return msgspec.structs.replace(request, sig=sig)


async def occupy(w: World, job: Callable[[], object]) -> None:
    with w.services.pool.place():
        await w.services.pool.run(job)

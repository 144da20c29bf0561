"""Log-in as a client sees it: what is accepted, and what each refusal is called."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace as replace_dataclass
from ipaddress import ip_network
from pathlib import Path

import msgspec
import pytest

from shadowmesh.backbone.auth.challenges import CHALLENGE_LIFETIME_S
from shadowmesh.backbone.auth.tokens import RENEWABLE_FOR_S, TOKEN_LIFETIME_S
from shadowmesh.backbone.limits.rates import Rate
from shadowmesh.backbone.limits.verification import MAX_WAITING
from shadowmesh.backbone_protocol.body import JSON_MEDIA_TYPE, decode_cbor, decode_json, encode_cbor, encode_json
from shadowmesh.backbone_protocol.login import LoginReply, LoginRequest
from shadowmesh.backbone_protocol.problems import Problem
from tests.unit.backbone.client import Answer, Client, Refusal, record_of
from tests.unit.backbone.world import World, limited, world


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


async def test_a_login_works_in_json_as_well(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        request, _ = client.login_request(await client.challenge())
        headers = {"content-type": JSON_MEDIA_TYPE, "accept": JSON_MEDIA_TYPE}
        answer = await client.transport.request("POST", "/v1/auth/login", headers, encode_json(request))
        decode_json(answer.body, LoginReply).verify(w.identity.public, request)


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


async def test_a_forged_tag_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        challenge = msgspec.structs.replace(await client.challenge(), tag=bytes(16))
        assert await refused(client.login(challenge=challenge)) is Problem.CHALLENGE_FORGED


async def test_a_later_expiry_than_the_servers_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        challenge = await client.challenge()
        longer = msgspec.structs.replace(challenge, expires=challenge.expires + 3600)
        assert await refused(client.login(challenge=longer)) is Problem.CHALLENGE_FORGED


async def test_an_expired_challenge_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        challenge = await client.challenge()
        w.clock.advance(CHALLENGE_LIFETIME_S)
        assert await refused(client.login(challenge=challenge)) is Problem.CHALLENGE_EXPIRED


async def test_a_challenge_given_to_another_address_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        challenge = await w.client(address="192.0.2.1").challenge()
        assert await refused(w.client(address="192.0.2.2").login(challenge=challenge)) is Problem.CHALLENGE_FORGED


async def test_a_challenge_serves_all_of_one_ipv6_household(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        challenge = await w.client(address="2001:db8:0:100::1").challenge()
        await w.client(address="2001:db8:0:1ff::2").login(challenge=challenge)


async def test_a_challenge_of_before_a_restart_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path, seed=10) as w:
        client = w.client()
        challenge = await client.challenge()
    async with world(tmp_path, seed=11) as w:
        client.transport = w.transport()
        assert await refused(client.login(challenge=challenge)) is Problem.CHALLENGE_FORGED


async def test_a_signature_for_another_authority_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        client.authority = "evil.test"
        assert await refused(client.login()) is Problem.BAD_SIGNATURE


async def test_the_host_header_does_not_choose_a_foreign_authority(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = Client(replace_dataclass(w.transport(), host="evil.test"))
        client.authority = "evil.test"
        assert await refused(client.login()) is Problem.BAD_SIGNATURE


async def test_a_login_is_accepted_for_each_of_the_servers_names(tmp_path: Path) -> None:
    async with world(tmp_path, urls=("https://backbone.test", "https://eu.test:8443")) as w:
        client = Client(replace_dataclass(w.transport(), host="EU.test:8443"), authority="eu.test:8443")
        await client.login()


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


async def test_a_login_that_is_not_canonical_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = w.client()
        request, _ = client.login_request(await client.challenge())
        encoded = encode_cbor(request)
        longer = encoded.replace(b"\x58\x20", b"\x59\x00\x20", 1)  # a length in three bytes that fits in two
        assert await refused(client.send("POST", "/v1/auth/login", longer)) is Problem.NOT_CANONICAL


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


async def test_a_revoked_token_is_refused_also_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        await client.revoke()
        assert await refused(client.look_up(client.peer)) is Problem.TOKEN_INVALID
    async with world(tmp_path) as w:
        client.transport = w.transport()
        assert await refused(client.look_up(client.peer)) is Problem.TOKEN_INVALID


async def test_a_revocation_is_forgotten_when_the_token_would_have_expired(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        client = await w.logged_in()
        await client.revoke()
        w.clock.advance(TOKEN_LIFETIME_S + 1)
        await w.services.sweep()
        assert await w.services.store.denied() == {}


async def post_login(client: Client, request: LoginRequest) -> Answer:
    return await client.send("POST", "/v1/auth/login", encode_cbor(request))


async def refused(attempt: Awaitable[object]) -> Problem | None:
    with pytest.raises(Refusal) as refusal:
        await attempt
    return refusal.value.problem


def with_sig(request: LoginRequest, sig: bytes | None) -> LoginRequest:
    return msgspec.structs.replace(request, sig=sig)


async def occupy(w: World, job: Callable[[], object]) -> None:
    with w.services.pool.place():
        await w.services.pool.run(job)

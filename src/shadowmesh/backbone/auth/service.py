"""Log-in, renewal and revocation. Spec: docs/spec/backbone.md, section 2."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PublicKey

from shadowmesh.backbone.auth.challenges import ChallengeIssuer
from shadowmesh.backbone.auth.denied_tokens import DeniedTokens
from shadowmesh.backbone.auth.tokens import RENEWABLE_FOR_S, Session, Tokens
from shadowmesh.backbone.auth.used_challenges import UsedChallenges
from shadowmesh.backbone.clock import Clock
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.limits.addresses import ClientAddress
from shadowmesh.backbone.limits.rates import RateLimiter, Rates
from shadowmesh.backbone.limits.verification import VerificationPool
from shadowmesh.backbone_protocol.login import (
    Challenge,
    LoginReply,
    LoginRequest,
    RenewalReply,
    claimed_identity,
    proof_key,
)
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.identity.keys import BadSignature, Identity, PublicIdentity
from shadowmesh.identity.names import PeerID
from shadowmesh.wire.errors import DecodeError


class AuthService:
    """Cheap checks before expensive ones: tag and expiry, reuse, key, place in the pool; then lattice arithmetic."""

    def __init__(
        self,
        identity: Identity,
        *,
        challenges: ChallengeIssuer,
        used: UsedChallenges,
        tokens: Tokens,
        denied: DeniedTokens,
        pool: VerificationPool,
        known_key: Callable[[PeerID], Awaitable[PublicIdentity | None]],
        directory_version: Callable[[], int],
        rates: Rates,
        clock: Clock,
    ) -> None:
        self._identity = identity
        self._challenges = challenges
        self._used = used
        self._tokens = tokens
        self._denied = denied
        self._pool = pool
        self._known_key = known_key
        self._directory_version = directory_version
        self._clock = clock
        self._challenges_per_address = RateLimiter(rates.challenges_per_address, clock)
        self._logins_per_address = RateLimiter(rates.logins_per_address, clock)
        self._logins_per_peer = RateLimiter(rates.logins_per_peer, clock)
        self._renewals_per_peer = RateLimiter(rates.renewals_per_peer, clock)

    def challenge(self, address: ClientAddress) -> Challenge:
        """Raises Refused (RATE_LIMITED)."""
        if not address.unlimited:
            self._challenges_per_address.take(address.key)
        return self._challenges.issue(address)

    async def login(self, request: LoginRequest, authority: str, address: ClientAddress) -> LoginReply:
        """`authority`: the one of this server's own that the client used. Raises Refused."""
        if not address.unlimited:
            self._logins_per_address.take(address.key)
        if request.sig is None:
            raise Refused(Problem.MALFORMED, "sig is missing")
        self._challenges.check(request, address)
        self._used.check_unused(request.challenge, request.expires)
        known = await self._known_key(PeerID(request.peer_id)) if request.public_key is None else None
        if request.public_key is None and known is None:
            raise Refused(Problem.PUBLIC_KEY_NEEDED)
        with self._pool.place():
            self._used.use(request.challenge, request.expires)
            client = known or _claimed(request)
            verified = partial(_verify_and_encapsulate, request, client, self._identity.peer_id, authority)
            secret, ciphertext = await self._pool.run(verified)
            # Counted only now: before the signature is checked anybody could lock a peer out by naming it.
            self._logins_per_peer.take(request.peer_id)
            key = proof_key(secret, request, ciphertext)
            token, expires_at = self._tokens.issue(client.peer_id, key)
            next_challenge = self._challenges.issue(address)
            reply = LoginReply(ciphertext, token, expires_at, self._directory_version(), next_challenge)
            return (await self._pool.run(partial(reply.signed_by, self._identity, request))).confirmed(key)

    def renew(self, session: Session, address: ClientAddress) -> RenewalReply:
        """The new token keeps the old one's key K. Raises Refused (RENEWAL_OVER, RATE_LIMITED)."""
        if self._clock() >= session.authenticated_at + RENEWABLE_FOR_S:
            raise Refused(Problem.RENEWAL_OVER)
        self._renewals_per_peer.take(session.peer.raw)
        key = self._tokens.proof_key(session)
        token, expires_at = self._tokens.issue(session.peer, key, authenticated_at=session.authenticated_at)
        return RenewalReply(token, expires_at, self._directory_version(), self._challenges.issue(address))

    async def revoke(self, session: Session) -> None:
        """Raises Refused (OVERLOADED)."""
        await self._denied.deny(session.token_id, session.expires_at)


def _claimed(request: LoginRequest) -> PublicIdentity:
    try:
        identity = claimed_identity(request)
    except DecodeError as error:
        raise Refused(Problem.WRONG_KEY, str(error)) from None
    if identity is None:
        raise Refused(Problem.PUBLIC_KEY_NEEDED)
    return identity


def _verify_and_encapsulate(
    request: LoginRequest, client: PublicIdentity, server: PeerID, authority: str
) -> tuple[bytes, bytes]:
    """The ML-KEM secret and its ciphertext. Runs in a thread."""
    try:
        request.verify(client, server, authority)
    except BadSignature:
        raise Refused(Problem.BAD_SIGNATURE) from None
    try:
        return MLKEM1024PublicKey.from_public_bytes(request.ek).encapsulate()
    except ValueError:
        raise Refused(Problem.MALFORMED, "ek is not an ML-KEM-1024 key") from None

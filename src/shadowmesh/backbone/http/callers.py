"""Who calls: the bearer token and the proof of possession of a request."""

from __future__ import annotations

from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket

from shadowmesh.backbone.auth.denied_tokens import DeniedTokens
from shadowmesh.backbone.auth.proofs import ProofChecker
from shadowmesh.backbone.auth.tokens import Session, Tokens
from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.http.request_limits import CLIENT_ADDRESS
from shadowmesh.backbone.limits.addresses import ClientAddress
from shadowmesh.backbone_protocol.problems import Problem
from shadowmesh.backbone_protocol.proof import PROOF_HEADER


class Callers:
    def __init__(self, tokens: Tokens, denied: DeniedTokens, proofs: ProofChecker) -> None:
        self._tokens = tokens
        self._denied = denied
        self._proofs = proofs

    def bearer(self, connection: HTTPConnection) -> Session:
        """Raises Refused (TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED)."""
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(Problem.TOKEN_MISSING)
        session = self._tokens.check(token.strip())
        if session.token_id in self._denied:
            raise Refused(Problem.TOKEN_INVALID, "the token was revoked")
        return session

    def revoked(self, session: Session) -> bool:
        """Whether it was revoked since it was checked."""
        return session.token_id in self._denied

    async def proven(self, request: Request) -> Session:
        """Raises Refused, also PROOF_MISSING, PROOF_INVALID, PROOF_REPLAYED."""
        session = self.bearer(request)
        self._check_proof(request, session, request.method, await request.body())
        return session

    def proven_upgrade(self, websocket: WebSocket) -> Session:
        """As `proven`, for the request that opens a WebSocket: a token alone does not take a peer's connection over."""
        session = self.bearer(websocket)
        self._check_proof(websocket, session, "GET", b"")
        return session

    def _check_proof(self, connection: HTTPConnection, session: Session, method: str, body: bytes) -> None:
        path = connection.scope["raw_path"].decode("latin-1")
        if connection.scope["query_string"]:
            path += "?" + connection.scope["query_string"].decode("latin-1")
        self._proofs.check(connection.headers.get(PROOF_HEADER), self._tokens.proof_key(session), method, path, body)


def client_address(connection: HTTPConnection) -> ClientAddress:
    address: ClientAddress = connection.scope[CLIENT_ADDRESS]
    return address

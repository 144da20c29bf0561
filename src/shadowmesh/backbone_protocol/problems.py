"""Problem types (RFC 9457 §3.1.1) of the backbone's API: one for each way a request can be refused."""

from enum import Enum

PROBLEM_MEDIA_TYPE = "application/problem+json"
_PREFIX = "urn:shadowmesh:problem:"


class Problem(Enum):
    """name, HTTP status, title."""

    BODY_TOO_LARGE = ("body-too-large", 413, "The body is larger than this request may have")
    MALFORMED = ("malformed", 400, "The body is not a legal message")
    NOT_CANONICAL = ("not-canonical", 400, "The CBOR is not in deterministic form")
    UNSUPPORTED_MEDIA_TYPE = ("unsupported-media-type", 415, "The body's media type is not one of this request's")
    NOT_FOUND = ("not-found", 404, "There is no such resource")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "The resource does not know this method")
    PEER_UNKNOWN = ("peer-unknown", 404, "No peer with this PeerID is registered here")
    RATE_LIMITED = ("rate-limited", 429, "Too many requests: wait as Retry-After says")
    OVERLOADED = ("overloaded", 503, "The server is at its limit: wait as Retry-After says, or ask another one")
    TIMED_OUT = ("timed-out", 408, "The request took longer than it may")
    CHALLENGE_FORGED = ("challenge-forged", 401, "The challenge is not one that this server gave to this address")
    CHALLENGE_EXPIRED = ("challenge-expired", 401, "The challenge has expired: ask for another")
    CHALLENGE_REPLAYED = ("challenge-replayed", 401, "The challenge has been used already")
    PUBLIC_KEY_NEEDED = ("public-key-needed", 401, "The server does not hold this PeerID's key: send it")
    WRONG_KEY = ("wrong-key", 401, "The public key is not the one that the PeerID names")
    BAD_SIGNATURE = ("bad-signature", 401, "The signature does not verify")
    TOKEN_MISSING = ("token-missing", 401, "The request needs a bearer token")
    TOKEN_INVALID = ("token-invalid", 401, "The token is not one that this backbone made")
    TOKEN_EXPIRED = ("token-expired", 401, "The token has expired: log in again")
    RENEWAL_OVER = ("renewal-over", 401, "Seven days of renewals are over: log in again")
    PROOF_MISSING = ("proof-missing", 401, "The request needs a proof of possession")
    PROOF_INVALID = ("proof-invalid", 401, "The proof of possession does not fit the token and the request")
    PROOF_REPLAYED = ("proof-replayed", 401, "The counter of the proof does not rise")
    RECORD_FOR_ANOTHER_PEER = ("record-for-another-peer", 403, "The record is not that of the token's peer")
    RECORD_STALE = ("record-stale", 409, "A record with the same or a higher sequence number is stored")
    RECORD_EQUIVOCATION = ("record-equivocation", 409, "Another record with this sequence number is stored")
    RECORD_FROM_THE_FUTURE = ("record-from-the-future", 422, "The record was issued in the future: check the clock")
    RECORD_EXPIRED = ("record-expired", 422, "The record has expired: check the clock")
    INTERNAL = ("internal", 500, "The server made a mistake; it is in its log")

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.slug = slug
        self.status = status
        self.title = title

    @property
    def urn(self) -> str:
        return _PREFIX + self.slug

    @classmethod
    def of_urn(cls, urn: str) -> "Problem | None":
        return next((problem for problem in cls if problem.urn == urn), None)

"""The signed list of the backbone's nodes. Spec: docs/spec/records.md, section 5.

A version is believed when a majority of the keys of the version accepted before it have signed it (TUF's root
rotation); the first one is judged by the fingerprints that the user pinned. A version never goes back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from shadowmesh.identity.keys import PUBLIC_KEY_BYTES, BadSignature, Identity, PublicIdentity
from shadowmesh.identity.names import Fingerprint
from shadowmesh.records.cose import MultiSigned
from shadowmesh.records.fields import Fields
from shadowmesh.wire import cbor
from shadowmesh.wire.endpoint import ENDPOINT_BYTES, Endpoint
from shadowmesh.wire.errors import DecodeError

DIRECTORY_AAD = b"shadowmesh/directory/v1"
MAX_DIRECTORY_BYTES = 512 * 1024  # 64 nodes with key and signature are 462 KB
MAX_BACKBONE_NODES = 64
MAX_DIRECTORY_AGE_S = 7 * 86400
MAX_TIME = 2**40 - 1  # seconds since 1970
_MAX_URL_BYTES = 200
_MAX_STUN_ENDPOINTS = 4
# Host and port alone, in lower case: the log-in's signature covers them letter by letter.
_URL = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?")
_VERSION, _ISSUED, _EXPIRES, _NODES = range(4)


class DirectoryRefusal(Enum):
    OLDER = "the directory's version is not higher than the one already accepted"
    EXPIRED = "the directory has expired, or lives longer than seven days"
    NOT_ENOUGH_SIGNATURES = "fewer than a majority of the trusted backbone keys have signed the directory"


class DirectoryRefused(ValueError):
    def __init__(self, reason: DirectoryRefusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class BackboneNode:
    """A backbone node as its clients need it."""

    public: PublicIdentity
    region: int
    url: str  # https://host[:port] or http://…, in lower case, without a path
    stun: tuple[Endpoint, ...]  # its STUN responder's two UDP endpoints

    @property
    def fingerprint(self) -> Fingerprint:
        return self.public.fingerprint


@dataclass(frozen=True, slots=True)
class Directory:
    version: int
    issued_at: int  # seconds since 1970
    expires_at: int
    nodes: tuple[BackboneNode, ...]

    def sign(self, *identities: Identity) -> SignedDirectory:
        """Raises ValueError when a field is out of its bounds, or nobody signs."""
        signed = MultiSigned(self._encode(), {})
        for identity in identities:
            signed = signed.signed_also_by(identity, external_aad=DIRECTORY_AAD)
        return SignedDirectory.decode(signed.encode())

    def _encode(self) -> bytes:
        nodes = [
            [node.public.public_key, node.region, node.url, [endpoint.encode() for endpoint in node.stun]]
            for node in self.nodes
        ]
        return cbor.encode({_VERSION: self.version, _ISSUED: self.issued_at, _EXPIRES: self.expires_at, _NODES: nodes})


@dataclass(frozen=True, slots=True)
class SignedDirectory:
    encoded: bytes = field(repr=False)
    directory: Directory
    _envelope: MultiSigned = field(repr=False)

    @classmethod
    def decode(cls, data: bytes) -> SignedDirectory:
        """Checks form and bounds, not belief: see `accept`. Raises DecodeError."""
        envelope = MultiSigned.decode(data, max_bytes=MAX_DIRECTORY_BYTES, what="directory")
        payload = cbor.decode(envelope.payload, max_bytes=MAX_DIRECTORY_BYTES, what="directory payload")
        return cls(data, _decode(payload), envelope)

    def signed_also_by(self, identity: Identity) -> SignedDirectory:
        signed = self._envelope.signed_also_by(identity, external_aad=DIRECTORY_AAD)
        return SignedDirectory.decode(signed.encode())

    def accept(self, trusted: Sequence[Fingerprint], *, now: float, known_version: int = 0) -> None:
        """`trusted`: the pinned fingerprints, or those of the version accepted before. Raises DirectoryRefused.

        A trusted key that signs must be listed, since a signature can only be checked with the whole key.
        """
        directory = self.directory
        if directory.version <= known_version:
            raise DirectoryRefused(DirectoryRefusal.OLDER)
        if now >= directory.expires_at or directory.expires_at - directory.issued_at > MAX_DIRECTORY_AGE_S:
            raise DirectoryRefused(DirectoryRefusal.EXPIRED)
        keys = set(trusted)
        needed = len(keys) // 2 + 1
        for node in directory.nodes:
            if node.fingerprint in keys and self._verifies(node.public):
                needed -= 1
                if needed == 0:
                    return
        raise DirectoryRefused(DirectoryRefusal.NOT_ENOUGH_SIGNATURES)

    def _verifies(self, signer: PublicIdentity) -> bool:
        try:
            self._envelope.verify(signer, external_aad=DIRECTORY_AAD)
        except (BadSignature, KeyError):
            return False
        return True


def _decode(payload: Any) -> Directory:
    fields = Fields(payload, "directory")
    if fields.above(_NODES):
        raise DecodeError("directory: an unknown field")
    fields.refuse_critical()
    issued_at = fields.uint(_ISSUED, MAX_TIME)
    directory = Directory(
        version=fields.uint(_VERSION, 2**63 - 1, lowest=1),
        issued_at=issued_at,
        expires_at=fields.uint(_EXPIRES, MAX_TIME, lowest=issued_at + 1),
        nodes=tuple(_node(item) for item in fields.items(_NODES, MAX_BACKBONE_NODES)),
    )
    if not directory.nodes:
        raise DecodeError("directory: no nodes")
    if len({node.fingerprint for node in directory.nodes}) != len(directory.nodes):
        raise DecodeError("directory: a node twice")
    return directory


def _node(item: Any) -> BackboneNode:
    fields = Fields.of_array(item, 4, "directory: node")
    url, stun = fields[2], fields[3]
    if not isinstance(url, str) or len(url) > _MAX_URL_BYTES or not _URL.fullmatch(url):
        raise DecodeError("directory: node: not an http(s) URL of host and port")
    if not isinstance(stun, list) or len(stun) > _MAX_STUN_ENDPOINTS:
        raise DecodeError(f"directory: node: not an array of at most {_MAX_STUN_ENDPOINTS} STUN endpoints")
    endpoints = Fields.of_array(stun, len(stun), "directory: node: STUN endpoint")
    return BackboneNode(
        public=PublicIdentity(fields.octets(0, PUBLIC_KEY_BYTES)),
        region=fields.uint(1, 255),
        url=url,
        stun=tuple(Endpoint.decode(endpoints.octets(position, ENDPOINT_BYTES)) for position in range(len(stun))),
    )

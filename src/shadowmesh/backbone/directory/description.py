"""A backbone node's description of itself: what an operator hands to the others to be listed."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from shadowmesh.files import durable
from shadowmesh.identity.keys import BadSignature, Identity, PublicIdentity
from shadowmesh.records.directory import BackboneNode
from shadowmesh.records.region import Region
from shadowmesh.wire import cbor
from shadowmesh.wire.endpoint import Endpoint
from shadowmesh.wire.errors import DecodeError

DESCRIPTION_CONTEXT = b"shadowmesh/v1/backbone-node"
MAX_DESCRIPTION_BYTES = 16 * 1024
MAX_URL_BYTES = 200


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    format: Literal["shadowmesh-backbone-node-1"]
    fingerprint: str
    region: str
    url: str
    stun: list[str]
    public_key: str
    signature: str


def encode(node: BackboneNode, identity: Identity) -> bytes:
    document = _Document(
        format="shadowmesh-backbone-node-1",
        fingerprint=str(node.fingerprint),
        region=Region.of(node.region).label,
        url=node.url,
        stun=[str(endpoint) for endpoint in node.stun],
        public_key=base64.b64encode(node.public.public_key).decode(),
        signature=base64.b64encode(identity.sign(_signed_bytes(node), context=DESCRIPTION_CONTEXT)).decode(),
    )
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode(data: bytes) -> BackboneNode:
    """Raises DecodeError, also when the signature is not the node's own."""
    if len(data) > MAX_DESCRIPTION_BYTES:
        raise DecodeError(f"node description: {len(data)} bytes, at most {MAX_DESCRIPTION_BYTES} allowed")
    try:
        document = msgspec.json.decode(data, type=_Document)
        public = PublicIdentity(base64.b64decode(document.public_key, validate=True))
        signature = base64.b64decode(document.signature, validate=True)
        stun = tuple(Endpoint.parse(text) for text in document.stun[:4])
        node = BackboneNode(public, parse_region(document.region), parse_url(document.url), stun)
        public.verify(signature, _signed_bytes(node), context=DESCRIPTION_CONTEXT)
    except BadSignature:
        raise DecodeError("node description: it is not signed by the node's own key") from None
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        raise DecodeError(f"node description: {error}") from None
    return node


def read(path: Path) -> BackboneNode:
    """Raises OSError, DecodeError."""
    return decode(path.read_bytes())


def write(path: Path, node: BackboneNode, identity: Identity) -> None:
    """Raises OSError."""
    durable.replace(path, encode(node, identity))


def parse_region(text: str) -> Region:
    """Raises ValueError, which names the ones there are."""
    for region in Region:
        if region.label == text:
            return region
    raise ValueError(f"{text!r} is not a region: {', '.join(region.label for region in Region)}")


def parse_url(text: str) -> str:
    """`https://host[:port]` or `http://…`, in lower case, without a path. Raises ValueError."""
    parts = urlsplit(text)
    lawful = parts.scheme in ("https", "http") and parts.hostname and parts.path in ("", "/")
    if not lawful or parts.query or parts.fragment or parts.username or len(text) > MAX_URL_BYTES or not text.isascii():
        raise ValueError(f"{text!r} is not https://host[:port]")
    _ = parts.port  # raises ValueError for one that is not a port
    return f"{parts.scheme}://{parts.netloc}".lower()


def authority(url: str) -> str:
    """Host, and port unless it is the scheme's own: what a log-in is signed for."""
    parts = urlsplit(url)
    default = {"https": ":443", "http": ":80"}[parts.scheme]
    return parts.netloc.lower().removesuffix(default)


def _signed_bytes(node: BackboneNode) -> bytes:
    return cbor.encode([node.public.public_key, node.region, node.url, [endpoint.encode() for endpoint in node.stun]])

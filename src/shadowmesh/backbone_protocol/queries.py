"""Look-up of a peer. Spec: docs/spec/backbone.md, section 5."""

from __future__ import annotations

from typing import Annotated

import msgspec

from shadowmesh.backbone_protocol.body import Body
from shadowmesh.backbone_protocol.login import Bytes32
from shadowmesh.records.hints import MAX_HINTS_BYTES
from shadowmesh.records.peer_record import MAX_RECORD_BYTES

HAVE_BYTES = 8
"""Length of the record-id prefix in `?have=` (hex)."""


class PeerReply(Body, frozen=True):
    """`record` only when the caller's `have` is not the beginning of `record_id`: a repeated look-up is 0.2 KB."""

    record_id: Bytes32
    hints: Annotated[bytes, msgspec.Meta(max_length=MAX_HINTS_BYTES)]  # records.hints.Hints
    record: Annotated[bytes, msgspec.Meta(max_length=MAX_RECORD_BYTES)] | None = None


class PublishReply(Body, frozen=True):
    record_id: Bytes32


class ErrorReply(Body, frozen=True):
    """RFC 9457 problem details (`application/problem+json`); `type` is a `problems.Problem` URN."""

    type: str
    title: str
    status: int
    detail: str = ""

"""The bound on what an address is sent before it is proved. Spec: docs/spec/session.md, section 6."""

from __future__ import annotations

from shadowmesh.session.limits import AMPLIFICATION, MAX_UNPROVED_ADDRESSES
from shadowmesh.wire.endpoint import Endpoint


class AddressBudget:
    """Bytes that one handshake may still send to each address: three for each one that came from there."""

    def __init__(self) -> None:
        self._left: dict[Endpoint, int] = {}

    def credit(self, source: Endpoint, received_bytes: int) -> None:
        """The first eight addresses count; a ninth is never sent anything."""
        if source in self._left or len(self._left) < MAX_UNPROVED_ADDRESSES:
            self._left[source] = self._left.get(source, 0) + AMPLIFICATION * received_bytes

    def spend(self, destination: Endpoint, sent_bytes: int) -> bool:
        """False when the budget doesn't cover it: then it must not be sent."""
        if self._left.get(destination, 0) < sent_bytes:
            return False
        self._left[destination] -= sent_bytes
        return True

"""What a node puts into its handshakes of itself."""

from dataclasses import dataclass

from shadowmesh.identity.keys import Identity
from shadowmesh.records.peer_record import SignedRecord
from shadowmesh.session.keys import Side
from shadowmesh.session.messages import Claim


@dataclass(slots=True)
class OwnSide:
    identity: Identity
    record: SignedRecord

    def replace_record(self, record: SignedRecord) -> None:
        """Raises ValueError for the record of another key."""
        if record.record.public != self.identity.public:
            raise ValueError("a node's own record is of its own key")
        self.record = record

    @property
    def claim(self) -> Claim:
        return Claim.of(self.record)

    @property
    def side(self) -> Side:
        return Side(self.identity.fingerprint, self.claim)

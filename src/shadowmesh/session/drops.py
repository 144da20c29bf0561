"""How the parts of the handshaker refuse input: an exception that never leaves the package."""

from shadowmesh.session.events import DropReason


class Dropped(Exception):
    """What was received is ignored, and counted."""

    def __init__(self, reason: DropReason) -> None:
        super().__init__(reason.value)
        self.reason = reason

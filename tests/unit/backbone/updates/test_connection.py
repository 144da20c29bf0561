"""The queue towards one peer."""

from shadowmesh.backbone.updates.connection import MAX_QUEUED_MESSAGES, CloseReason, Connection
from shadowmesh.backbone_protocol.updates import Refused, encode
from shadowmesh.identity.names import PeerID

MESSAGE = Refused("malformed", "")


async def test_messages_wait_in_order_and_a_full_queue_gives_the_peer_up() -> None:
    connection = Connection(PeerID(b"p" * 20))
    for _ in range(MAX_QUEUED_MESSAGES):
        connection.send(MESSAGE)
    assert not connection.closing.done()
    connection.send(MESSAGE)
    assert connection.closing.result() is CloseReason.TOO_SLOW
    assert await connection.next_outgoing() == encode(MESSAGE)


async def test_the_first_reason_to_close_is_the_one_that_is_told() -> None:
    connection = Connection(PeerID(b"p" * 20))
    connection.close(CloseReason.REPLACED)
    connection.close(CloseReason.TOO_SLOW)
    assert connection.closing.result() is CloseReason.REPLACED

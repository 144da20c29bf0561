"""Connections and subscriptions."""

import pytest

from shadowmesh.backbone.errors import Refused
from shadowmesh.backbone.updates.connection import Connection
from shadowmesh.backbone.updates.hub import Hub
from shadowmesh.identity.names import PeerID

ALICE, BOB, CAROL = (PeerID(name * 20) for name in (b"a", b"b", b"c"))


async def test_connections_are_bounded_but_a_reconnect_is_not() -> None:
    hub = Hub(most=1)
    hub.add(Connection(ALICE))
    with pytest.raises(Refused):
        hub.add(Connection(BOB))
    hub.add(Connection(ALICE))
    assert len(hub) == 1


async def test_removing_the_replaced_one_leaves_the_new_one() -> None:
    hub = Hub()
    old, new = Connection(ALICE), Connection(ALICE)
    hub.add(old)
    hub.add(new)
    assert not hub.remove(old)
    assert hub.find(ALICE) is new
    assert hub.remove(new)


async def test_no_subscription_outlives_its_connection() -> None:
    hub = Hub()
    connection = Connection(ALICE)
    hub.add(connection)
    hub.subscribe(connection, [BOB, CAROL, BOB])
    hub.unsubscribe(connection, [CAROL, ALICE])
    assert (hub.has_subscribers(BOB), hub.has_subscribers(CAROL)) == (True, False)
    hub.remove(connection)
    assert not hub.has_subscribers(BOB)

"""A node that is killed, and starts again without anything but its key and its trust."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.e2e.test_mesh import a_pair

from shadowmesh.control.home import Home
from shadowmesh.lab.network import Network

pytestmark = pytest.mark.privileged


def test_a_node_that_has_forgotten_where_its_peer_is_is_brought_back_by_the_peers_traffic(tmp_path: Path) -> None:
    """No backbone, no cache: otherwise nothing would happen until the peer's next probe, 24 s or more later."""
    with Network(log_directory=tmp_path / "logs") as network:
        alice, bob, backbone = a_pair(network, tmp_path)
        alice.ping_through_tunnel(bob)
        backbone.kill()
        bob.process.kill()
        forget_peers(Home(bob.home))
        bob.up()
        assert alice.ping_through_tunnel(bob, within_s=10) > 0
        assert bob.peer(alice)["state"] == "connected"


def forget_peers(home: Home) -> None:
    state = json.loads(home.state.read_text())
    state["cache"] = []
    home.state.write_text(json.dumps(state))
    shutil.rmtree(home.records)

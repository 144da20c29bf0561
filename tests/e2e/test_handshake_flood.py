"""A node whose port is flooded with the begin of handshakes, by one who knows its public key."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.session.adversary import LyingInitiator

from shadowmesh.control.home import Home
from shadowmesh.demo.actors import Backbone, LightNode
from shadowmesh.lab.network import Network
from shadowmesh.node import identity_file
from shadowmesh.session.fragments import CID_BYTES
from shadowmesh.wire.first_byte import ControlType

from .flood import flood

pytestmark = pytest.mark.privileged

PORT = 41641
MESSAGES = 1_000  # different ones, over and over: some 20,000 datagrams a second


def test_a_trusted_peer_connects_all_the_same(tmp_path: Path) -> None:
    """It is asked for a cookie, and shows it: those who flood could not, from an address that is not theirs."""
    with Network(log_directory=tmp_path / "logs") as network:
        backbone = Backbone(network.host("backbone"), tmp_path / "backbone")
        backbone.start()
        alice, bob = (LightNode(network.host(name), tmp_path / name) for name in ("alice", "bob"))
        for node in (alice, bob):
            node.up("--backbone", backbone.pin, "--port", str(PORT))
            node.wait_online()
        public = identity_file.load(Home(bob.home), None).public
        liars = [LyingInitiator(public, cid=number.to_bytes(CID_BYTES, "big")) for number in range(MESSAGES)]
        datagrams = [datagram for liar in liars for datagram in liar.flight1]
        mallory, target = network.host("mallory"), (str(bob.host.ipv4), PORT)
        with flood(mallory, datagrams, target, cookie_reply=ControlType.COOKIE) as attack:
            alice.trust(bob)
            bob.trust(alice)
            assert alice.ping_through_tunnel(bob, within_s=20) > 0
            assert attack.is_asked_for_cookies()
        drops = bob.command("status")["engine"]["drops"]
        assert drops["engine: control_cookie"] > MESSAGES

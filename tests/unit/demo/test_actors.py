from pathlib import Path

import pytest

from shadowmesh.demo.actors import Backbone, LightNode, start_pair
from shadowmesh.lab.errors import LabError
from shadowmesh.lab.network import Network

pytestmark = pytest.mark.privileged


def test_a_backbone_has_a_pin_when_it_serves_and_none_of_it_is_left_when_killed(tmp_path: Path) -> None:
    with Network() as network:
        backbone = Backbone(network.host("backbone"), tmp_path / "backbone")
        backbone.start()
        assert backbone.pin.startswith("http://198.18.0.1:8443#sm1")
        backbone.kill()
        assert all(process.returncode is not None for process in backbone.host.processes)


def test_a_light_node_keeps_its_identity_from_one_start_to_the_next(tmp_path: Path) -> None:
    with Network() as network:
        host = network.host("alice")
        first, second = (LightNode(host, tmp_path / "alice") for _ in range(2))
        assert first.fingerprint == second.fingerprint


def test_a_daemon_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    with Network() as network:
        alice = LightNode(network.host("alice"), tmp_path / "alice")
        with pytest.raises(LabError, match="region"):
            alice.up("--region", "atlantis")


def test_a_pair_has_met_when_it_is_started(tmp_path: Path) -> None:
    with Network() as network:
        hosts = (network.host("backbone"), network.host("alice"), network.host("bob"))
        alice, bob, backbone = start_pair(hosts, tmp_path)
        assert [node.host for node in (backbone, alice, bob)] == list(hosts)
        assert [alice.peer(bob)["state"], bob.peer(alice)["state"]] == ["connected", "connected"]

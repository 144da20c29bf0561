"""Real nodes on one switch, with no internet and no backbone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.test_mesh import wait_until

from shadowmesh.demo.actors import LightNode
from shadowmesh.lab.errors import CommandError
from shadowmesh.lab.network import Network

pytestmark = pytest.mark.privileged


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with Network(log_directory=tmp_path / "logs") as network:
        yield network


def test_nodes_that_know_each_others_fingerprint_alone_connect(network: Network, tmp_path: Path) -> None:
    alice, bob = nodes(network, tmp_path)
    assert alice.ping_through_tunnel(bob, within_s=20) > 0


def test_over_ipv6_alone_too(network: Network, tmp_path: Path) -> None:
    alice, bob = nodes(network, tmp_path, start=False)
    for node in (alice, bob):
        unplug(node, version=4)
        node.up()
    assert alice.ping_through_tunnel(bob, within_s=20) > 0
    assert alice.peer(bob)["path"].startswith(f"[{bob.host.ipv6}]")


def test_on_a_network_that_comes_later(network: Network, tmp_path: Path) -> None:
    alice, bob = nodes(network, tmp_path, start=False)
    addresses = [*unplug(bob, version=4), *unplug(bob, version=6)]
    alice.up()
    bob.up()
    bob.host.namespace.ip([f"address add {address} dev eth0 nodad" for address in addresses if ":" in address])
    wait_until(lambda: alice.peer(bob)["state"] == "connected")
    assert alice.ping_through_tunnel(bob) > 0


def test_who_wants_no_announcements_neither_makes_nor_hears_any(network: Network, tmp_path: Path) -> None:
    alice, bob = nodes(network, tmp_path, start=False)
    (bob.home / "config.toml").write_text("lan = false\n")
    alice.up()
    bob.up()
    for node, other in ((alice, "bob"), (bob, "alice")):
        with pytest.raises(CommandError, match="no record"):
            node.command("ping", other)


def nodes(network: Network, folder: Path, *, start: bool = True) -> tuple[LightNode, LightNode]:
    alice, bob = (LightNode(network.host(name), folder / name) for name in ("alice", "bob"))
    alice.trust(bob)
    bob.trust(alice)
    if start:
        alice.up()
        bob.up()
    return alice, bob


def unplug(node: LightNode, *, version: int) -> list[str]:
    """Takes the addresses of a family away, and returns them with their prefix lengths."""
    addresses = [str(address) for address in node.host.addresses if address.version == version]
    node.host.namespace.ip([f"address del {address} dev eth0" for address in addresses])
    return addresses

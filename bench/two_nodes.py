"""Two real nodes on one network of namespaces, for benchmarks (root)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from shadowmesh.demo.actors import Backbone, LightNode
from shadowmesh.lab.network import Network


@contextmanager
def two_nodes() -> Iterator[tuple[LightNode, LightNode]]:
    """Which trust each other and have met before."""
    with TemporaryDirectory() as name, Network() as network:
        folder = Path(name)
        backbone = Backbone(network.host("backbone"), folder / "backbone")
        backbone.start()
        alice, bob = (LightNode(network.host(name), folder / name) for name in ("alice", "bob"))
        for node in (alice, bob):
            node.up("--backbone", backbone.pin)
            node.wait_online()
        alice.trust(bob)
        bob.trust(alice)
        alice.ping_through_tunnel(bob)
        yield alice, bob

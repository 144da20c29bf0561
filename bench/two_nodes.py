"""Two real nodes on one network of namespaces, for benchmarks (root)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from shadowmesh.demo.actors import Backbone, LightNode, start_pair
from shadowmesh.lab.network import Network


@contextmanager
def two_nodes() -> Iterator[tuple[LightNode, LightNode]]:
    """Which trust each other and have met before."""
    with two_nodes_and_backbone() as (alice, bob, _):
        yield alice, bob


@contextmanager
def two_nodes_and_backbone() -> Iterator[tuple[LightNode, LightNode, Backbone]]:
    """The same, with the backbone that they met through."""
    with TemporaryDirectory() as folder, Network() as network:
        backbone, alice, bob = (network.host(name) for name in ("backbone", "alice", "bob"))
        yield start_pair((backbone, alice, bob), Path(folder))

"""Resident memory of `shadowmesh up`: a node in a real mesh, after it has carried load."""

from pathlib import Path
from tempfile import TemporaryDirectory

from bench.tunnel.measures import MIB, resident_bytes
from bench.tunnel.report import NODE
from bench.tunnel.wire import Tunnel

from shadowmesh.demo.actors import Backbone, LightNode
from shadowmesh.lab.network import Network

LOADS = (["--parallel", "4"], ["--reverse"], ["--udp", "--bitrate", "0", "--length", "64"])


def node_memory(seconds: int) -> Tunnel:
    """Of both nodes, after TCP in both directions and a flood of small UDP packets, each as long as `seconds`."""
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
        bob.host.start(["iperf3", "--server"])
        for load in LOADS:
            command = ["iperf3", "--client", bob.overlay_address, "--time", f"{seconds}", *load]
            alice.host.run(command, timeout_s=seconds + 30)
        measured = Tunnel(NODE, bob.overlay_address, 1280)
        for node in (alice, bob):
            measured.add(resident_mib=resident_bytes(node.process.pid) / MIB)
        return measured

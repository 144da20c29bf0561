"""Resident memory of `shadowmesh up`: a node in a real mesh, after it has carried load."""

from bench.tunnel.measures import MIB, resident_bytes
from bench.tunnel.report import NODE
from bench.tunnel.wire import Tunnel
from bench.two_nodes import two_nodes

LISTENS_WITHIN_S = 10.0
LOADS = (["--parallel", "4"], ["--reverse"], ["--udp", "--bitrate", "0", "--length", "64"])


def node_memory(seconds: int) -> Tunnel:
    """Of both nodes, after TCP in both directions and a flood of small UDP packets, each as long as `seconds`."""
    with two_nodes() as (alice, bob):
        bob.host.start(["iperf3", "--server", "--forceflush"]).wait_for_output("listening", LISTENS_WITHIN_S)
        for load in LOADS:
            command = ["iperf3", "--client", bob.overlay_address, "--time", f"{seconds}", *load]
            alice.host.run(command, timeout_s=seconds + 30)
        measured = Tunnel(NODE, bob.overlay_address, 1280)
        for node in (alice, bob):
            measured.add(resident_mib=resident_bytes(node.process.pid) / MIB)
        return measured

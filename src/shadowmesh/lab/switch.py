"""The bridge that joins hosts: those of one network, in a namespace of its own, or those behind one router."""

import sys
from pathlib import Path

from shadowmesh.lab import forwarder
from shadowmesh.lab.impairment import Impairment
from shadowmesh.lab.namespace import Namespace
from shadowmesh.lab.process import Process

_FORWARDER_START_S = 10.0


class Switch:
    """Ports are veth ends named p0, p1, ... in the order in which hosts were joined.

    Where the kernel has no netem, an impaired port leaves the bridge and a forwarder carries its frames to another
    veth pair (x0 to y0) that stands in the bridge instead.
    """

    def __init__(self, namespace: Namespace, mtu: int) -> None:
        self._namespace = namespace
        self._mtu = mtu
        self._ports = 0
        self._forwarders: dict[str, Process] = {}

    def create(self) -> None:
        """Makes the namespace and the bridge. It sends nothing of its own: counters show the hosts' frames alone."""
        self._namespace.create()
        for setting in ("all", "default"):
            self._namespace.sysctl(f"ipv6/conf/{setting}/disable_ipv6", "1")
        self.add_bridge()

    def add_bridge(self) -> None:
        """Makes the bridge in a namespace that is there already, such as a router's."""
        # Without snooping, multicast (neighbour discovery) reaches all ports at once.
        bridge = "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        self._namespace.ip([bridge, "link set br0 up"])

    def plug_in(self, host: Namespace, interface: str, mac: str) -> str:
        """Makes a cable between the host's new interface and a new port, whose name it returns."""
        port = f"p{self._ports}"
        self._ports += 1
        peer = f"peer name {interface} address {mac} mtu {self._mtu} netns {host.name}"
        add = f"link add {port} mtu {self._mtu} type veth {peer}"
        self._namespace.ip([add, f"link set {port} master br0 up"])
        return port

    def set_cable(self, port: str, *, plugged: bool) -> None:
        """Unplugs or plugs the cable: the host loses the carrier and keeps its addresses."""
        self._namespace.ip([f"link set {port} {'up' if plugged else 'down'}"])

    def impair(self, port: str, impairment: Impairment, *, both_ways: bool = False) -> None:
        """Impairs what comes in at the port, or goes out too, in user space, in place of what impaired it before."""
        self.clear(port)
        near, far = port.replace("p", "x"), port.replace("p", "y")
        pair = f"link add {near} mtu {self._mtu} type veth peer name {far} mtu {self._mtu}"
        self._namespace.ip([pair, f"link set {near} up", f"link set {far} up"])
        process = self._namespace.start(
            [
                *(sys.executable, "-I", str(Path(forwarder.__file__))),
                *(port, near, str(impairment.delay_ms / 1000), str(impairment.loss_percent / 100)),
                *(str(impairment.rate_bps or 0), "2" if both_ways else "1"),
            ],
            name=f"forwarder-{port}",
        )
        self._forwarders[port] = process
        process.wait_for_output("ready", _FORWARDER_START_S)
        self._namespace.ip([f"link set {port} nomaster", f"link set {far} master br0"])

    def clear(self, port: str) -> None:
        """Puts the port back into the bridge; does nothing if it is there."""
        process = self._forwarders.pop(port, None)
        if process is None:
            return
        process.stop()
        self._namespace.ip([f"link del {port.replace('p', 'x')}", f"link set {port} master br0"])

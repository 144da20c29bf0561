"""A home, an office or a carrier's network: hosts behind one router."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Protocol

from shadowmesh.lab.addresses import Interface
from shadowmesh.lab.errors import LabError
from shadowmesh.lab.host import Attachment, Host
from shadowmesh.lab.nat.plan import Lan
from shadowmesh.lab.nat.router import OUTSIDE, Router
from shadowmesh.lab.network import MTU_BYTES, Network
from shadowmesh.lab.switch import Switch

_FIRST_METRIC = 100  # of the default route by eth0; lower ones are left for what runs on the host


class Uplink(Protocol):
    """What a site hangs on: the internet, or a carrier's site."""

    def host(self, name: str) -> Host:
        """A new host there, whose eth0 leads to it."""
        ...

    def route(self, prefix: IPv4Network | IPv6Network, via: Host) -> None:
        """Sends what is for the prefix to the host."""
        ...

    def renumber(self, host: Host) -> None:
        """Gives the host's eth0 new addresses."""
        ...


class Site:
    """Made by `Internet.site`. Its uplink is that of the host `router.host`: impair it both ways, cut it, mend it."""

    def __init__(self, network: Network, uplink: Uplink, router: Router, lan: Lan, switch: Switch) -> None:
        self._network = network
        self._uplink = uplink
        self._switch = switch
        self._used = 0
        self.router = router
        self.lan = lan
        self.hosts: list[Host] = []
        gateway = Attachment("br0", network.next_mac(), lan.addresses(0), switch)
        router.host.namespace.ip([f"link set br0 address {gateway.mac}"])
        router.host.attach(gateway)
        self._announce()

    @property
    def outside(self) -> IPv4Address:
        """What the world sees of a site that translates; of one behind a carrier, what the carrier sees."""
        return self.router.host.ipv4

    def host(self, name: str) -> Host:
        """Makes a host inside."""
        host = self._network.host(name, on_switch=False)
        self.attach(host)
        return host

    def attach(self, host: Host) -> Attachment:
        """Plugs a host in by a new interface. Of several, the host uses the first by name that has a carrier."""
        interface, mac = host.free_interface(), self._network.next_mac()
        self._used += 1
        addresses = self.lan.addresses(self._used)
        port = self._switch.plug_in(host.namespace, interface, mac)
        attachment = Attachment(interface, mac, addresses, self._switch, port)
        host.attach(attachment)
        self._network.introduce(host, attachment)
        for family in ("ipv4", "ipv6"):
            host.namespace.sysctl(f"{family}/conf/{interface}/ignore_routes_with_linkdown", "1")
        metric = _FIRST_METRIC + int(interface.removeprefix("eth"))
        host.namespace.ip(default_routes(self.lan.addresses(0), f"dev {interface} metric {metric}"))
        self.hosts.append(host)
        return attachment

    def detach(self, host: Host) -> None:
        """Unplugs a host and takes away its interface and addresses here."""
        for name, attachment in list(host.attachments.items()):
            if attachment.switch is self._switch:
                host.detach(name)
        self.hosts.remove(host)

    def route(self, prefix: IPv4Network | IPv6Network, via: Host) -> None:
        """Sends what is for the prefix to a router inside, and asks the uplink to send it here."""
        self.router.host.namespace.ip([route_line(prefix, via)])
        self._uplink.route(prefix, self.router.host)

    def renumber(self, host: Host) -> None:
        """A carrier's subscribers keep their addresses: raises `LabError`."""
        raise LabError(f"{host.name} is behind a carrier: renumber the carrier")

    def roam(self) -> None:
        """Gives the router new outside addresses, as after a new dial-in: all mappings are lost.

        Raises `LabError` for a site whose own network is routed, or that is behind a carrier.
        """
        kind = self.router.policy.kind
        if kind is None or not kind.translates:
            raise LabError(f"{self.router.host.name}: the hosts' addresses are their own; attach them elsewhere")
        with self.router.paused():
            self._uplink.renumber(self.router.host)
            self.router.apply()
            self.router.flush()
            self._announce()

    def _announce(self) -> None:
        kind = self.router.policy.kind
        if self.lan.ipv4 is not None and kind is not None and not kind.translates:
            self._uplink.route(self.lan.ipv4, self.router.host)
        if self.lan.ipv6 is not None:
            self._uplink.route(self.lan.ipv6, self.router.host)


def route_line(prefix: IPv4Network | IPv6Network, via: Host) -> str:
    """The `ip` command that sends what is for the prefix to the outside address of a router."""
    gateway = next(address.ip for address in via.attachments[OUTSIDE].addresses if address.version == prefix.version)
    return f"route replace {prefix} via {gateway}"


def default_routes(gateways: Sequence[Interface], how: str) -> list[str]:
    """The `ip` commands for a default route of each family that the gateway has."""
    return [f"route replace default via {gateway.ip} {how}" for gateway in gateways]


def lan_switch(router: Host, mtu: int = MTU_BYTES) -> Switch:
    """The switch br0 of a router."""
    switch = Switch(router.namespace, mtu)
    switch.add_bridge()
    return switch

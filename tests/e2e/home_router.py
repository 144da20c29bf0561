"""A home behind a router that has miniupnpd, and a host on the internet that tries to get in."""

from __future__ import annotations

import json
import socket
import uuid
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from shadowmesh.lab.host import Host
from shadowmesh.lab.network import Network
from shadowmesh.lab.process import Process
from shadowmesh.wire.endpoint import Endpoint

# miniupnpd takes test networks (198.18.0.0/15) for no internet, and then maps nothing.
INTERNET = "11.18.0.0/16"
_RULES = """
table inet home {
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname "lan0" accept
        jump miniupnpd
    }
    chain input { type filter hook input priority 0; policy accept; iifname "eth0" drop; }
    chain prerouting { type nat hook prerouting priority -100; policy accept; jump prerouting_miniupnpd; }
    chain postrouting {
        type nat hook postrouting priority 100; policy accept;
        jump postrouting_miniupnpd
        oifname "eth0" masquerade
    }
    chain miniupnpd { }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
}
"""
_START_S = 10.0


@dataclass(slots=True)
class Home:
    """Hosts have 192.168.7.11, .12, ... and 2001:db8:7::11, ...; the router is .1 and ::1, outside it is `outside`."""

    network: Network
    router: Host
    internet: Host
    directory: Path
    daemon: Process | None = None
    hosts: int = 0

    @property
    def outside(self) -> IPv4Address:
        return self.router.ipv4

    def host(self, name: str, *, ipv6: bool = False) -> Host:
        host = self.network.host(name, on_switch=False)
        link = self.network.link(self.router, host)
        self.hosts += 1
        number = 10 + self.hosts
        self.router.namespace.ip(
            [f"address flush dev {link.near.interface}", f"link set {link.near.interface} master lan0"]
        )
        host.namespace.ip(
            [
                f"address flush dev {link.far.interface}",
                f"address add 192.168.7.{number}/24 dev {link.far.interface}",
                f"link set {link.far.interface} down",  # so that it gets its link-local address
                f"link set {link.far.interface} up",
                "route add default via 192.168.7.1",
            ]
        )
        if ipv6:
            self._give_ipv6(host, link.far.interface, number)
        return host

    def _give_ipv6(self, host: Host, interface: str, number: int) -> None:
        """As a router advertisement does: the way out is the router's link-local address."""
        self.router.namespace.sysctl("ipv6/conf/all/forwarding", "1")
        (bridge,) = json.loads(self.router.namespace.ip_json("address", "show", "lan0"))
        link_local = next(each["local"] for each in bridge["addr_info"] if each["local"].startswith("fe80"))
        address = f"address add 2001:db8:7::{number}/64 dev {interface} nodad"
        host.namespace.ip([address, f"route add default via {link_local} dev {interface}"])
        self.internet.namespace.ip([f"route replace 2001:db8:7::/64 via {self.router.ipv6}"])

    def start_miniupnpd(self, **settings: str) -> None:
        """Each start forgets all mappings: the chains are made anew, as after a reboot."""
        self.router.run(["nft", "-f", "-"], stdin=f"table inet home\ndelete table inet home\n{_RULES}")
        chosen = {
            "ext_ifname": "eth0",
            "listening_ip": "lan0",
            "enable_upnp": "yes",
            "enable_natpmp": "yes",
            "secure_mode": "yes",
            "uuid": str(uuid.uuid4()),
            "upnp_table_name": "home",
            "upnp_nat_table_name": "home",
        } | settings
        rules = ["allow 1024-65535 192.168.7.0/24 1024-65535", "deny 0-65535 0.0.0.0/0 0-65535"]
        configuration = self.directory / "miniupnpd.conf"
        configuration.write_text("\n".join([*(f"{name}={value}" for name, value in chosen.items()), *rules, ""]))
        command = ["miniupnpd", "-d", "-f", str(configuration), "-P", str(self.directory / "miniupnpd.pid")]
        self.daemon = self.router.start(command)
        listening = "HTTP listening" if chosen["enable_natpmp"] == "no" else "NAT-PMP/PCP traffic on port"
        self.daemon.wait_for_output(listening, _START_S)

    def restart_miniupnpd(self) -> None:
        """As a reboot does: the port of its UPnP server is another one too."""
        assert self.daemon is not None
        self.daemon.stop()
        self.start_miniupnpd()
        assert self.mappings() == ""

    def mappings(self) -> str:
        """The rules by which the router lets packets in."""
        chain = self.router.run(["nft", "list", "chain", "inet", "home", "prerouting_miniupnpd"]).stdout
        return "\n".join(line.strip() for line in chain.splitlines() if "dnat" in line)

    def packet_gets_in(self, host: Host, port: int, external: Endpoint) -> bool:
        """Whether a datagram from a port of the internet that nobody has sent to reaches the UDP port of the host."""
        is_ipv4 = external.address.version == 4
        family = socket.AF_INET if is_ipv4 else socket.AF_INET6
        with host.socket(family) as inside, self.internet.socket(family) as outside:
            inside.bind(("0.0.0.0" if is_ipv4 else "::", port))
            inside.settimeout(1.0)
            outside.sendto(b"unsolicited", external.pair)
            try:
                return inside.recv(100) == b"unsolicited"
            except TimeoutError:
                return False


def make_home(network: Network, directory: Path) -> Home:
    """`network` has INTERNET as its addresses."""
    router = network.host("router")
    internet = network.host("internet")
    router.namespace.ip(
        [
            "link add lan0 type bridge mcast_snooping 0 forward_delay 0",
            "address add 192.168.7.1/24 dev lan0",
            "address add 2001:db8:7::1/64 dev lan0 nodad",
            "link set lan0 up",
        ]
    )
    router.namespace.sysctl("ipv4/ip_forward", "1")
    return Home(network, router, internet, directory)

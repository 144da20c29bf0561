"""The port mapping server of a router: miniupnpd, which speaks NAT-PMP, PCP and UPnP IGD."""

import uuid

from shadowmesh.lab.host import Host
from shadowmesh.lab.nat.plan import Lan
from shadowmesh.lab.nat.rules import MAPPING_CHAINS, TABLE
from shadowmesh.lab.process import Process

_START_S = 10.0
HTTP_PORT = 5000  # of the UPnP description; NAT-PMP and PCP have 5351


def configuration(lan: Lan, identifier: uuid.UUID) -> str:
    """miniupnpd.conf: eth0 outside, br0 inside, rules into our own table, any port for anyone inside."""
    forward, prerouting, postrouting = MAPPING_CHAINS
    settings = {
        "ext_ifname": "eth0",
        "listening_ip": "br0",
        "http_port": HTTP_PORT,
        "enable_upnp": "yes",
        "enable_natpmp": "yes",
        "secure_mode": "yes",  # a host maps ports to itself alone
        "min_lifetime": 1,  # so that expiry can be waited for
        "max_lifetime": 86400,
        "uuid": identifier,
        "upnp_table_name": TABLE,
        "upnp_nat_table_name": TABLE,
        "upnp_forward_chain": forward,
        "upnp_nat_chain": prerouting,
        "upnp_nat_postrouting_chain": postrouting,
    }
    lines = [f"{name}={value}" for name, value in settings.items()]
    return "\n".join([*lines, f"allow 1-65535 {lan.ipv4} 1-65535", "deny 0-65535 0.0.0.0/0 0-65535", ""])


def start(router: Host, lan: Lan) -> Process:
    """Starts the server on the router and waits until it answers. It ends with the network."""
    path = router.namespace.directory / f"{router.namespace.name}-miniupnpd.conf"
    path.write_text(configuration(lan, uuid.uuid4()))
    # -d: in the foreground, and it says what it does. Its pid file would be the same for all routers.
    process = router.start(["miniupnpd", "-d", "-f", str(path), "-P", str(path.with_suffix(".pid"))])
    process.wait_for_output("PCP traffic on port", _START_S)
    return process

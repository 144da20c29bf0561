"""The router of a site: a host that forwards and translates, and can forget."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from shadowmesh.lab.errors import LabError
from shadowmesh.lab.host import Host
from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.nat.rules import Policy, ruleset
from shadowmesh.lab.nat.theory import Dependence

OUTSIDE = "eth0"


class Router:
    """Takes a host whose eth0 leads to the internet or to a carrier, and whose br0 leads inside."""

    def __init__(self, host: Host, policy: Policy) -> None:
        self.host = host
        self.policy = policy
        forward(host)
        self.apply()

    def apply(self) -> None:
        """Loads the rules for the policy and the outside address of now. Recorded mappings are forgotten."""
        outside = None if self.policy.kind is None else self.host.ipv4
        self.host.run(["nft", "-f", "-"], stdin=ruleset(self.policy, outside))
        timeout = str(self.policy.mapping_timeout_s)
        for setting in ("udp_timeout", "udp_timeout_stream"):
            self.host.namespace.sysctl(f"netfilter/nf_conntrack_{setting}", timeout)

    def conntrack_entries(self) -> int:
        """How many flows the router has in its table: what probing costs it."""
        return int(self.host.namespace.read_sysctl("netfilter/nf_conntrack_count"))

    def flush(self) -> None:
        """Forgets all flows; a kind that keeps the inside port gives the same outside port again."""
        self.host.run(["conntrack", "--flush"])

    def rebind(self) -> None:
        """Forgets all mappings and gives new outside ports from now on, as after a restart of the router.

        Raises `LabError` for a kind whose hosts have no mappings, or whose ports are mapped on request.
        """
        kind = self.policy.kind
        if kind is None or not kind.translates or kind is NatKind.UDP_BLOCKED:
            raise LabError(f"{self.host.name} has no mappings of UDP to change")
        with self.paused():
            if kind.behaviour.mapping is Dependence.ENDPOINT_INDEPENDENT:
                self.policy = replace(self.policy, random_ports=True)
                self.apply()
            self.flush()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing passes meanwhile: a packet between new rules and forgotten flows would record its old mapping."""
        self.host.run(["nft", "-f", "-"], stdin=_PAUSE)
        try:
            yield
        finally:
            self.host.run(["nft", "delete", "table", "inet", "pause"])


def forward(host: Host) -> None:
    """Makes the host forward packets of both families between its interfaces."""
    for setting, value in _FORWARDING:
        host.namespace.sysctl(setting, value)


_PAUSE = """
table inet pause {
    chain prerouting {
        type filter hook prerouting priority -400; policy drop;
    }
}
"""
_FORWARDING = (
    ("ipv4/ip_forward", "1"),
    ("ipv6/conf/all/forwarding", "1"),
    # Inside to inside by way of the router is wanted where the router turns packets round.
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/default/send_redirects", "0"),
    ("ipv4/conf/eth0/send_redirects", "0"),
    ("ipv4/conf/br0/send_redirects", "0"),
    ("bridge/bridge-nf-call-iptables", "0"),  # where Docker has loaded br_netfilter
    ("bridge/bridge-nf-call-ip6tables", "0"),
)

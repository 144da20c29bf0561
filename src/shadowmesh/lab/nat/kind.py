"""The kinds of router that the lab has, and how each behaves."""

from enum import Enum

from shadowmesh.lab.nat.theory import Behaviour, Dependence, Ports

_EI = Dependence.ENDPOINT_INDEPENDENT
_AD = Dependence.ADDRESS_DEPENDENT
_APD = Dependence.ADDRESS_AND_PORT_DEPENDENT


class NatKind(Enum):
    """What a site's router does with IPv4."""

    PUBLIC = "public"  # routes; no NAT, no filter
    FIREWALL = "firewall"  # routes; lets in only what was asked for
    FULL_CONE = "full cone"
    ADDRESS_RESTRICTED = "address-restricted"
    PORT_RESTRICTED = "port-restricted"  # as Linux does it: the mapping changes where two hosts' ports clash
    PORT_RESTRICTED_STRICT = "port-restricted, mapping never changes"
    SYMMETRIC = "symmetric"
    PORT_BLOCK = "symmetric, ports of one block"
    SEQUENTIAL = "symmetric, next port"
    CARRIER = "carrier-grade, endpoint-independent"  # random ports; made to have other routers behind it
    UPNP = "port-restricted, maps ports on request"  # by NAT-PMP, PCP and UPnP IGD
    UDP_BLOCKED = "TCP 80 and 443 alone"

    @property
    def translates(self) -> bool:
        """Whether the hosts inside share the router's outside IPv4 address."""
        return self not in (NatKind.PUBLIC, NatKind.FIREWALL)

    @property
    def behaviour(self) -> Behaviour:
        """As hosts inside meet it, with no port mapped on request."""
        return _BEHAVIOUR[self]


_BEHAVIOUR = {
    NatKind.PUBLIC: Behaviour(),
    NatKind.FIREWALL: Behaviour(_EI, _APD),
    NatKind.FULL_CONE: Behaviour(_EI, _EI),
    NatKind.ADDRESS_RESTRICTED: Behaviour(_EI, _AD),
    NatKind.PORT_RESTRICTED: Behaviour(_EI, _APD),
    NatKind.PORT_RESTRICTED_STRICT: Behaviour(_EI, _APD),
    NatKind.SYMMETRIC: Behaviour(_APD, _APD, Ports.RANDOM),
    NatKind.PORT_BLOCK: Behaviour(_APD, _APD, Ports.RANDOM),
    NatKind.SEQUENTIAL: Behaviour(_APD, _APD, Ports.SEQUENTIAL),
    NatKind.CARRIER: Behaviour(_EI, _EI, Ports.RANDOM),
    NatKind.UPNP: Behaviour(_EI, _APD),
    NatKind.UDP_BLOCKED: Behaviour(udp=False),
}

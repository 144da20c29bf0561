"""Rules for a NAT whose mappings are endpoint-independent for certain, even where two hosts use one port.

Linux's own masquerade chooses a port per flow. Here a filter chain behind it records which outside port each inside
endpoint was given; the next flow of that endpoint is translated by the record. Who may send in is then a choice.
"""

from shadowmesh.lab.nat.theory import Dependence

_OUTGOING = 'oifname "eth0" meta nfproto ipv4 meta l4proto udp'
_INCOMING = 'iifname "eth0" ip daddr @outside meta l4proto udp'
_TURNING = 'iifname "br0" ip daddr @outside meta l4proto udp'  # inside, to an outside endpoint of the inside
_RECORDS = 65536  # an entry for each port of one protocol


def records(timeout_s: int) -> str:
    """Maps between inside and outside endpoints, and who was sent to. Unused for `timeout_s`, an entry is gone."""
    flags = f"flags dynamic,timeout; timeout {timeout_s}s; size {_RECORDS};"
    return f"""
    map out {{ type ipv4_addr . inet_service : ipv4_addr . inet_service; {flags} }}
    map in {{ type inet_service : ipv4_addr . inet_service; {flags} }}
    set used {{ type inet_service; {flags} }}
    set permitted {{ type inet_service . ipv4_addr; {flags} }}
    chain record {{
        type filter hook postrouting priority 150;
        {_recording("original")}
        {_recording("reply")}
        {_OUTGOING} update @used {{ udp sport }} update @permitted {{ udp sport . ip daddr }}
    }}"""


def _recording(direction: str) -> str:
    # The headers are translated by now; conntrack still knows the inside endpoint.
    inside = f"ct {direction} ip saddr . ct {direction} proto-src"
    update_out = f"update @out {{ {inside} : ip saddr . udp sport }}"
    update_in = f"update @in {{ udp sport : {inside} }}"
    return f"{_OUTGOING} ct direction {direction} {update_out} {update_in}"


def outgoing(*, random_ports: bool) -> list[str]:
    """For the postrouting chain: an inside endpoint keeps its outside endpoint; a new one gets a free port."""
    masquerade = "masquerade fully-random" if random_ports else "masquerade"
    return [
        f"{_OUTGOING} snat ip to ip saddr . udp sport map @out",
        f"{_OUTGOING} udp sport @used masquerade fully-random",
        f"{_OUTGOING} {masquerade}",
    ]


def incoming(filtering: Dependence) -> list[str]:
    """For the prerouting chain: whom a mapping lets in. Conntrack alone is address-and-port-dependent."""
    match filtering:
        case Dependence.ENDPOINT_INDEPENDENT:
            return [f"{_INCOMING} dnat ip to udp dport map @in"]
        case Dependence.ADDRESS_DEPENDENT:
            return [f"{_INCOMING} udp dport . ip saddr @permitted dnat ip to udp dport map @in"]
        case _:
            return []


def hairpin_in() -> list[str]:
    """For the prerouting chain: a host inside reaches another one by its outside endpoint."""
    return [f"{_TURNING} dnat ip to udp dport map @in"]


def hairpin_out() -> list[str]:
    """For the postrouting chain: and is seen by its own outside endpoint (RFC 4787 REQ-9)."""
    turned = 'oifname "br0" meta l4proto udp ct status dnat ct original ip daddr @outside'
    return [f"{turned} snat ip to ip saddr . udp sport map @out"]

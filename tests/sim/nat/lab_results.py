"""Which pairs of boxes plain simultaneous punching joins, as measured with real sockets through nftables."""

from __future__ import annotations

from tests.sim.nat.behaviour import AD, APD, EI, FIREWALL, LINUX, SYMMETRIC, SYMMETRIC_SEQUENTIAL, UDP_BLOCKED, Nat
from tests.sim.nat.ports import Uniform

# Outermost first. `cgnat` and `cgnat_eim`: a home router behind a carrier's.
SITES: dict[str, tuple[Nat, ...]] = {
    "none": (),
    "firewall": (FIREWALL,),
    "full_cone": (Nat(EI, EI),),
    "address_restricted": (Nat(EI, AD),),
    "port_restricted": (LINUX,),
    "port_restricted_strict": (Nat(EI, APD),),
    "symmetric": (SYMMETRIC,),
    "symmetric_sequential": (SYMMETRIC_SEQUENTIAL,),
    "cgnat": (SYMMETRIC, LINUX),
    "cgnat_eim": (Nat(EI, EI, Uniform()), LINUX),
    "udp_blocked": (UDP_BLOCKED,),
}

_TABLE = """
none                   + + + + + + + + + + .
firewall               + + + + + + . . . + .
full_cone              + + + + + + + + + + .
address_restricted     + + + + + + + + + + .
port_restricted        + + + + + + . . . + .
port_restricted_strict + + + + + + . . . + .
symmetric              + . + + . . . . . . .
symmetric_sequential   + . + + . . . . . . .
cgnat                  + . + + . . . . . . .
cgnat_eim              + + + + + + . . . + .
udp_blocked            . . . . . . . . . . .
"""

PUNCHED: dict[tuple[str, str], bool] = {
    (row.split()[0], column): result == "+"
    for row in _TABLE.strip().splitlines()
    for column, result in zip(SITES, row.split()[1:], strict=True)
}

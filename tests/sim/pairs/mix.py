"""How the networks of people are: a stated mix, each share with where it comes from.

Nobody publishes how many hosts are behind which NAT. Each share here is a published measurement or an assumption that
says so; `ASSUMED` shares are doubled one by one to show what they are worth. docs/nat-traversal.md is the same table in
plain words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tests.sim.chance import SeededEntropy
from tests.sim.nat.behaviour import (
    AD,
    APD,
    CARRIER,
    CARRIER_BLOCKS,
    EI,
    FIREWALL,
    LINUX,
    SYMMETRIC,
    SYMMETRIC_SEQUENTIAL,
    UDP_BLOCKED,
    Nat,
)
from tests.sim.nat.ports import Blocks, Uniform
from tests.sim.pairs.scenario import Access, Scenario

_CARRIER_HARD = Nat(APD, APD, Blocks(2048))
_CARRIER_RANDOM = Nat(APD, APD, Uniform())


@dataclass(frozen=True, slots=True)
class Share:
    value: float
    source: str


# Of nodes: where people keep machines that they want to reach.
PLACES: Mapping[str, Share] = {
    "home": Share(0.65, "assumed"),
    "mobile": Share(0.20, "assumed"),
    "office": Share(0.07, "assumed"),
    "server": Share(0.08, "assumed"),
}
SHARES: Mapping[str, Share] = {
    "home: behind a carrier's NAT": Share(
        0.18, "Richter et al., IMC 2016: CGN in 17-18 % of eyeball networks; Mandalari et al., 2017: in 10 % of ISPs"
    ),
    "home: router maps by destination": Share(0.03, "assumed; Richter et al., IMC 2016, saw it rarely in home routers"),
    "home: router filters by address or not at all": Share(0.20, "assumed"),
    "home: maps ports by PCP, NAT-PMP or UPnP": Share(
        0.30, "DiCioccio et al., PAM 2012: UPnP answers in fewer than half of 120,000 homes; the value is assumed"
    ),
    "carrier: maps by destination": Share(
        0.25, "Richter et al., IMC 2016, found such in a minority of fixed networks; the value is assumed"
    ),
    "mobile: carrier's NAT": Share(0.92, "Richter et al., IMC 2016: CGN in more than 90 % of cellular networks"),
    "mobile: maps by destination": Share(
        0.40, "Richter et al., IMC 2016: a large minority of cellular networks; the value is assumed"
    ),
    "mobile: IPv6": Share(0.60, "assumed: above the average of all users"),
    "office: UDP blocked": Share(
        0.20, "Langley et al., SIGCOMM 2017: QUIC fails for 4.4 % of clients, mostly in companies; here 1.4 % of all"
    ),
    "office: maps by destination": Share(0.35, "assumed: pf and enterprise firewalls do so by default"),
    "office: IPv6": Share(0.15, "assumed"),
    "home: IPv6": Share(
        0.45, "APNIC Labs, April 2026: 42 % of users can, Google, March 2026: 50 % do; the value is between"
    ),
    "server: behind a cloud's NAT": Share(0.30, "assumed; one-to-one, so a firewall alone"),
    "server: IPv6": Share(0.45, "as of users, see home"),
    "pair: two hosts of one network": Share(0.05, "assumed"),
}


@dataclass(frozen=True, slots=True)
class Mix:
    shares: Mapping[str, float]
    places: Mapping[str, float]

    @classmethod
    def stated(cls) -> Mix:
        return cls(_values(SHARES), _values(PLACES))

    def with_doubled(self, name: str) -> Mix:
        """A share of all places grows at the expense of the others."""
        if name in self.shares:
            return replace(self, shares={**self.shares, name: min(1.0, 2 * self.shares[name])})
        grown = min(1.0, 2 * self.places[name])
        scale = (1 - grown) / (1 - self.places[name])
        return replace(self, places={other: value * scale for other, value in self.places.items()} | {name: grown})

    def draw(self, seed: int) -> Scenario:
        chance = SeededEntropy(seed, "mix")
        alice, bob = self._access(chance), self._access(chance)
        shared = 0
        if alice.boxes and self._is(chance, "pair: two hosts of one network"):
            shared, bob = len(alice.boxes), replace(alice, maps_port=False)
        latency_s = chance.choice((0.005, 0.01, 0.02, 0.04, 0.075))
        return Scenario(seed, (alice, bob), shared, latency_s, starts_cold=chance.below(4) == 0)

    def _access(self, chance: SeededEntropy) -> Access:
        draws = {"home": self._home, "mobile": self._mobile, "office": self._office, "server": self._server}
        drawn = chance.fraction()
        for place, value in self.places.items():
            drawn -= value
            if drawn < 0:
                return draws[place](chance)
        return self._server(chance)  # the shares add up to a hair less than 1

    def _is(self, chance: SeededEntropy, name: str) -> bool:
        return chance.fraction() < self.shares[name]

    def _home(self, chance: SeededEntropy) -> Access:
        ipv6 = self._is(chance, "home: IPv6")
        if self._is(chance, "home: router maps by destination"):
            router = chance.choice((SYMMETRIC, SYMMETRIC_SEQUENTIAL))
        elif self._is(chance, "home: router filters by address or not at all"):
            router = chance.choice((Nat(EI, EI), Nat(EI, AD)))
        else:
            router = chance.choice((LINUX, Nat(EI, APD)))
        maps_port = self._is(chance, "home: maps ports by PCP, NAT-PMP or UPnP")
        if not self._is(chance, "home: behind a carrier's NAT"):
            return Access((router,), ipv6, maps_port=maps_port, kind="home")
        hard = self._is(chance, "carrier: maps by destination")
        carrier = _CARRIER_HARD if hard else chance.choice((CARRIER, CARRIER_BLOCKS))
        return Access((carrier, router), ipv6, kind="home, carrier's NAT")

    def _mobile(self, chance: SeededEntropy) -> Access:
        ipv6 = self._is(chance, "mobile: IPv6")
        if not self._is(chance, "mobile: carrier's NAT"):
            return Access((FIREWALL,), ipv6, kind="mobile")
        hard = self._is(chance, "mobile: maps by destination")
        carrier = chance.choice((_CARRIER_HARD, _CARRIER_RANDOM) if hard else (CARRIER, CARRIER_BLOCKS))
        return Access((carrier,), ipv6, kind="mobile, carrier's NAT")

    def _office(self, chance: SeededEntropy) -> Access:
        if self._is(chance, "office: UDP blocked"):
            return Access((UDP_BLOCKED,), kind="office without UDP")
        ipv6 = self._is(chance, "office: IPv6")
        nat = SYMMETRIC if self._is(chance, "office: maps by destination") else LINUX
        return Access((nat,), ipv6, kind="office")

    def _server(self, chance: SeededEntropy) -> Access:
        ipv6 = self._is(chance, "server: IPv6")
        boxes = (FIREWALL,) if self._is(chance, "server: behind a cloud's NAT") else ()
        return Access(boxes, ipv6, ipv6_box=FIREWALL if boxes else None, kind="server")


def _values(shares: Mapping[str, Share]) -> dict[str, float]:
    return {name: share.value for name, share in shares.items()}

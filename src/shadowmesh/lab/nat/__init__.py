"""Homes behind routers of every kind, on a small internet of the lab.

`internet.Internet` turns a `Network` into an internet: public hosts on its switch, and `site.Site`s behind routers
whose kernel NAT is made of nftables rules (`rules`, `endpoint_independent`), with a port mapping server where wanted
(`port_mapping`). `kind.NatKind` names the kinds and says how each behaves in the terms of RFC 4787.

Two modules do not trust the rest: `probe` finds out by UDP sockets alone how a host is translated and filtered, and
`punch` tries to join two hosts. `theory` says, without any I/O, which pairs can be joined directly and how; the lab's
tests compare all three.
"""

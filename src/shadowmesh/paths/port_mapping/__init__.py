"""Asks the router to pass datagrams from outside to our UDP port: PCP, else NAT-PMP, else UPnP IGD.

`pcp` and `nat_pmp` are the codecs of the two datagram protocols. `pcp_client`, `nat_pmp_client` and `upnp_client` each
know how one protocol asks, and what an answer means. `port_mapper` is the machine that a node drives: it tries the
protocols of one gateway in turn, renews, maps again after a reboot of the router, and gives the mapping back.
`outside` judges whether an outside address is the internet's. Spec: docs/spec/paths.md, section 8.
"""

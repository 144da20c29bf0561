"""Small networks of Linux network namespaces, for the demo, the end-to-end tests and the benchmarks.

A `network.Network` is a context manager: inside it, `network.host("alice")` makes a namespace with its own
addresses, joined by a veth pair to one bridge; `network.link(a, b)` joins two hosts directly. A `host.Host`
runs programs, opens sockets, tells what its kernel counts and routes, and can be given a bad link. Leaving the
block ends every process that it started and removes every namespace, however the block was left.

Nothing here knows what runs inside: the lab imports the standard library alone. `privileges` tells what is
missing to use it and enters a user namespace where root is not at hand.
"""

"""A whole light node without I/O: trust, peers, the backbone link, and the machines below composed.

Feed it (`inputs` are methods of `machine.Mesh`), drain `poll()`, obey what comes out (`outputs`), and call
`handle_timeout` when `next_timeout()` is reached. The shell in `shadowmesh.node` and the simulator do just that.
"""

"""The local control API: what a program on this host may ask of the daemon, as typed documents over a Unix socket.

Spec: docs/spec/control.md. `schema` has the documents, `routes` says which request brings which, `client` asks.
Nothing here imports the node: the command line loads this and little else.
"""

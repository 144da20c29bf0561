"""How a peer is reached: which endpoints to try, what the world sees of ours, and whether a path still works.

Pure machines. Nothing here knows identities beyond a PeerID, or installs anything in the engine.
Spec: docs/spec/paths.md.
"""

"""The post-quantum handshake: SIGMA-I over ephemeral ML-KEM-1024 and ML-DSA-87, giving WireGuard's PSK.

`Handshaker` holds every handshake of one node and does no I/O. Spec: docs/spec/session.md.
"""

"""What a light node and a backbone node say to each other: bodies, transcripts and proofs, without I/O.

Spec: docs/spec/backbone.md. Every body is CBOR (`application/cbor`) with a JSON twin of the same field names,
in which bytes are base64.
"""

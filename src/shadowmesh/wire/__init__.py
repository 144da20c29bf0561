"""Bytes on the wire that every other package shares: endpoints, transmits, bounded reading, deterministic CBOR."""

"""Who a node is: its ML-DSA-87 key (FIPS 204), the names that are hashes of it, and the file that keeps it."""

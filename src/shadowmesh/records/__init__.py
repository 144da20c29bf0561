"""What nodes say about themselves: the signed record, unsigned hints, the 96-byte cache entry, the signed directory."""

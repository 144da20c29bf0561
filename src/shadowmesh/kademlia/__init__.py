"""Kademlia: the XOR metric and the local cache of peers, which answers nine of ten look-ups without the network."""

"""ShadowMesh: a post-quantum, peer-to-peer private network. The map of the packages is in CONTRIBUTING.md."""

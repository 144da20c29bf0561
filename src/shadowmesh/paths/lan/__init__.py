"""Peers in the same LAN find each other without anybody's help. Spec: docs/spec/lan.md.

A node announces by multicast that it is there, in a way that only its trusted peers can read. Who recognises it fetches
its signed record from it, when it holds none, and then both make a session as over any other path.
"""

"""Debian's nebula on both ends."""

import json
from pathlib import Path

from bench.tunnel.wire import Ends

from shadowmesh.lab.process import Process

PORT = 4242


def nebula(ends: Ends, directory: Path, network: str) -> list[Process]:
    """Keys and settings lie in `directory`. AES-256-GCM (its default), MTU 1420 as wireguard-go's."""
    authority = ["-out-crt", str(directory / "ca.crt"), "-out-key", str(directory / "ca.key")]
    ends.near.run(["nebula-cert", "ca", "-name", "bench", *authority])
    processes = []
    for number, (host, peer) in enumerate(ends, 1):
        certificate, key = directory / f"{number}.crt", directory / f"{number}.key"
        signer = ["-ca-crt", str(directory / "ca.crt"), "-ca-key", str(directory / "ca.key")]
        out = ["-out-crt", str(certificate), "-out-key", str(key)]
        host.run(["nebula-cert", "sign", *signer, "-name", f"end{number}", "-ip", f"{network}.{number}/24", *out])
        anything = [{"port": "any", "proto": "any", "host": "any"}]
        settings = {
            "pki": {"ca": str(directory / "ca.crt"), "cert": str(certificate), "key": str(key)},
            "static_host_map": {f"{network}.{3 - number}": [f"{peer.ipv4}:{PORT}"]},
            "lighthouse": {"am_lighthouse": False, "hosts": []},
            "listen": {"host": str(host.ipv4), "port": PORT},
            "tun": {"dev": "bench-neb", "tx_queue": 1000, "mtu": 1420},
            "logging": {"level": "error", "format": "text"},
            "firewall": {"outbound": anything, "inbound": anything},
        }
        config = directory / f"{number}.json"  # JSON is YAML
        config.write_text(json.dumps(settings))
        processes.append(host.start(["nebula", "-config", str(config)], name=f"nebula-{number}"))
    return processes

"""One end of a tunnel: the engine without a node. A program of its own, told by BENCH_END (JSON) what to do."""

import importlib.util
import json
import os
import sys
import time
from types import ModuleType
from typing import Any


def main() -> None:
    end: dict[str, Any] = json.loads(os.environ["BENCH_END"])
    engine = load_engine().Engine(
        private_key=bytes.fromhex(end["private_key"]),
        port=end["port"],
        tun=end["tun"],
        addresses=[end["address"]],
        mtu=end["mtu"],
    )
    for peer in end["peers"]:
        engine.add_peer(
            bytes.fromhex(peer["key"]),
            bytes.fromhex(peer["psk"]),
            tuple(peer["path"]),
            peer["allowed_ips"],
            initiate=peer["initiate"],
            cipher=end["cipher"],
        )
    print("ready", flush=True)
    while True:
        time.sleep(1)
        engine.drain()


def load_engine() -> ModuleType:
    """The extension that is installed, or the one with symbols that a profile wants (BENCH_ENGINE is its path)."""
    name = "shadowmesh._engine"
    path = os.environ.get("BENCH_ENGINE")
    spec = importlib.util.spec_from_file_location(name, path) if path else importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        sys.exit(f"{path or name} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()

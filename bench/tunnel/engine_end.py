"""Engines without nodes: a program of its own, told what to do by a JSON file with one entry an engine."""

import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any


def main() -> None:
    library = load_engine()
    engines = [start(library, end) for end in json.loads(Path(sys.argv[1]).read_text())]
    print("ready", flush=True)
    while True:
        time.sleep(1)
        for engine in engines:
            engine.drain()


def start(library: ModuleType, end: dict[str, Any]) -> Any:
    engine = library.Engine(
        private_key=bytes.fromhex(end["private_key"]),
        port=end["port"],
        tun="bench%d",
        addresses=end["addresses"],
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
    return engine


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

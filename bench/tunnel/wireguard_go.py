"""Current wireguard-go, built from its Go module into .tools/bin."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

MODULE = "golang.zx2c4.com/wireguard"
TOOLS = Path(__file__).resolve().parents[2] / ".tools" / "bin"


class NoGo(Exception):
    """Why it could not be built, in one line."""


@dataclass(frozen=True, slots=True)
class WireguardGo:
    program: Path
    version: str


def build() -> WireguardGo:
    """The newest version, or the one that is there already if the module proxy cannot be reached. Raises NoGo."""
    program = TOOLS / "wireguard"
    env = os.environ | {"GOBIN": str(TOOLS)}
    try:
        built = subprocess.run(["go", "install", f"{MODULE}@latest"], env=env, capture_output=True, text=True)
        if built.returncode != 0 and not program.exists():
            raise NoGo(f"{MODULE}@latest cannot be built: {_last_line(built.stderr)}")
        listing = subprocess.run(["go", "version", "-m", str(program)], capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise NoGo(f"no Go toolchain on PATH: {MODULE}@latest, the reference, needs Go 1.23.1 or newer") from error
    found = re.search(rf"mod\s+{re.escape(MODULE)}\s+(\S+)", listing.stdout)
    return WireguardGo(program, found[1] if found else "of unknown version")


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]

"""All benchmarks, one after the other: `python -m bench` (root)."""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = ("tunnel", "backbone", "node", "session")


def main() -> None:
    folder = Path(__file__).parent
    for name in BENCHMARKS:
        print(f"\n== {name}: {sys.executable} bench/{name}.py", flush=True)
        subprocess.run([sys.executable, str(folder / f"{name}.py"), *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()

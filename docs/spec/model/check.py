# ruff: noqa: T201
"""Runs Verifpal on the exchange in each setting and compares every verdict with what the setting expects."""

import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
SECONDS = 120  # on a slow machine; the slowest setting takes 15 to 60


def compose(setting: str, exchange: str) -> tuple[str, list[tuple[str, bool]]]:
    """The whole model of a setting, and its queries, each with whether it is to hold."""
    parts = dict(re.findall(r"^//@ (\w+)\n(.*?)(?=^//@|\Z)", setting, re.MULTILINE | re.DOTALL))
    for old, new in re.findall(r"^//- (.*)\n//\+ (.*)$", setting, re.MULTILINE):
        if old not in exchange:
            raise SystemExit(f"the exchange has no line with {old!r}")
        exchange = exchange.replace(old, new)
    model = re.sub(r"^//@ (\w+)$", lambda place: parts.get(place[1], ""), exchange, flags=re.MULTILINE)
    queries = re.findall(r"^\t(\w+\? .*?)\s*// (holds|fails)\b", parts["queries"], re.MULTILINE)
    if len(queries) != len(re.findall(r"^\t\w+\? ", parts["queries"], re.MULTILINE)):
        raise SystemExit("a query does not say what is expected")
    return model + parts["queries"], [(query, word == "holds") for query, word in queries]


def run(verifpal: str, path: Path) -> tuple[str, float, list[tuple[str, bool, bool | None]]]:
    """Name, seconds, and for each query what is expected and what was found (None: no answer)."""
    setting = path.read_text()
    model, queries = compose(setting, (HERE / "exchange.vp").read_text())
    sessions = re.search(r"^//@ sessions (\d)$", setting, re.MULTILINE)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.vp")
        file.write_text(model)
        count = sessions[1] if sessions else "2"
        command = [verifpal, "verify", str(file), "--result-code", "--quiet", "--sessions", count]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
            code = re.findall(r"[a-z]([01])", (done.stdout.split() or [""])[-1]) if done.returncode == 0 else []
            complaint = done.stderr.strip()
        except subprocess.TimeoutExpired:
            code, complaint = [], f"no answer within {SECONDS} s"
    if len(code) != len(queries):
        print(f"{path.name}: {complaint or 'no verdicts'}", file=sys.stderr)
        code = []
    found = [digit == "0" for digit in code] or [None] * len(queries)
    return path.stem, time.monotonic() - begin, [(q, e, f) for (q, e), f in zip(queries, found, strict=True)]


def main() -> int:
    verifpal, *names = sys.argv[1:]
    paths = [path for path in sorted(HERE.glob("[0-9]*.vp")) if not names or path.stem in names]
    word = {True: "holds", False: "fails", None: "unknown"}
    wrong = 0
    with ThreadPoolExecutor(2) as pool:
        for name, seconds, rows in pool.map(lambda path: run(verifpal, path), paths):
            print(f"{name}  ({seconds:.1f} s)")
            for query, expected, found in rows:
                wrong += found != expected
                print(f"  {word[found]:8}{query}{'' if found == expected else f'   <- expected: {word[expected]}'}")
    print(f"{len(paths)} settings, {wrong} verdicts differ from what is expected")
    return int(wrong > 0 or not paths)


if __name__ == "__main__":
    sys.exit(main())

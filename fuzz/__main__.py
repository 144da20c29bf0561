import argparse
import sys

from fuzz.run import fuzz
from fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description="Mutate the corpus over every decoder.")
    parser.add_argument("--inputs", type=int, default=20_000, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=[target.name for target in TARGETS], help="only this one")
    arguments = parser.parse_args()
    failed = False
    for target in TARGETS:
        if arguments.target in (None, target.name):
            finding = fuzz(target, arguments.inputs, arguments.seed)
            failed |= finding is not None
            sys.stdout.write(f"{target.name}: {arguments.inputs} inputs, seed {arguments.seed}: ")
            sys.stdout.write(f"FOUND\n{finding}\n" if finding else "nothing found\n")
    return 1 if failed else 0


sys.exit(main())

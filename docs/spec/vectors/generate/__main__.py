"""Writes identity, records, hints, cache_entry, directory, lan, login, probes, punching (.json) into the folder above.

Run it from the repository's root after a change of a format: `python docs/spec/vectors/generate`. Keys come from fixed
seeds and encodings are exact, but ML-DSA signatures are hedged, so that each run writes other signatures: they are
data to be verified. The unit tests hold the code against the committed files.
"""

import json
from pathlib import Path

from cache_entry import cache_entry_vectors
from directory import directory_vectors
from hints import hints_vectors
from identity import identity_vectors
from lan import lan_vectors
from login import login_vectors
from people import Case
from probes import probe_vectors
from punching import punching_vectors
from records import record_vectors


def main() -> None:
    write("identity", identity_vectors())
    write("records", record_vectors())
    write("hints", hints_vectors())
    write("cache_entry", cache_entry_vectors())
    write("directory", directory_vectors())
    write("lan", lan_vectors())
    write("login", login_vectors())
    write("probes", probe_vectors())
    write("punching", punching_vectors())


def write(name: str, document: Case) -> None:
    file = Path(__file__).parent.parent / f"{name}.json"
    file.write_text(json.dumps(document, indent=1) + "\n")


main()

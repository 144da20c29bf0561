"""`shadowmesh id`"""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from shadowmesh.cli.options import HomeFolder, Json, PassphraseFile, home_of, print_document, read_passphrase

app = App(name="id")


@app.default
def id(
    *,
    new: Annotated[bool, Parameter(negative="", help="Fail if there is an identity already.")] = False,
    passphrase_file: PassphraseFile = None,
    home: HomeFolder = None,
    json: Json = False,
) -> None:
    """Make this node's identity, or show it.

    The fingerprint is what others trust: give it to the owners of the peers that shall reach this node.

    For example:

        shadowmesh id

        shadowmesh id --new --passphrase-file ~/passphrase

        shadowmesh id --json | jq -r .identity.fingerprint
    """
    from shadowmesh.cli import render
    from shadowmesh.control.schema import IdentityDocument
    from shadowmesh.node import identity_file, reports

    folder = home_of(home)
    passphrase = read_passphrase(passphrase_file)
    created = new or not identity_file.exists(folder)
    if created:
        identity_file.create(folder, passphrase)
    facts = identity_file.facts(folder)
    document = IdentityDocument(identity=reports.identity(facts.fingerprint), created=created, sealed=facts.sealed)
    if json:
        print_document(document)
    else:
        print(render.identity(document))

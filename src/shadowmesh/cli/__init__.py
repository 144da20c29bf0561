"""The command line: one file a command, each imported only when it is called.

Commands print a document of `control.schema` (`--json`) or what `render` makes of it, and raise `ShadowMeshError`
for everything that may be expected to fail; `main` turns that into one line and an exit code.
"""

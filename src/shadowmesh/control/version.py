"""The version of this program."""

SOURCE_VERSION = "0+source"
"""What a checkout that was never installed says."""


def program_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("shadowmesh")
    except PackageNotFoundError:
        return SOURCE_VERSION

"""`python -m shadowmesh` is the command `shadowmesh`."""

from shadowmesh.cli.main import main

if __name__ == "__main__":
    main()

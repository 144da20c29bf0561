#!/usr/bin/env bash
# Prints which Python the virtual environment is made of: UV_PYTHON if that is set, else the system's own if it is new
# enough, else the first on PATH. Distributions build theirs with profile-guided optimisation; one that was compiled
# without takes half as long again for the node's own work.
set -euo pipefail

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if [ -n "${UV_PYTHON:-}" ]; then
    echo "$UV_PYTHON"
elif is_new_enough /usr/bin/python3; then
    echo /usr/bin/python3
else
    echo python3
fi

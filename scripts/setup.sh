#!/usr/bin/env bash
# Finds or installs what a build needs: Python with venv, uv (from PyPI, into .uv), Rust.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
RUST_MINIMUM=1.91

stop() { echo "setup: $1" >&2; exit 1; }

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

apt_install() {
    echo "setup: installing $* from Debian" >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null
}

python_works() { python3 -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if ! python_works; then
    can_install || stop "Python 3.11 or newer with venv is needed: on Debian, apt-get install python3 python3-venv"
    apt_install python3 python3-venv
    python_works || stop "this system's Python is older than 3.11: install a newer one and put it on PATH"
fi

if ! command -v cargo >/dev/null; then
    can_install || stop "Rust $RUST_MINIMUM or newer is needed: https://rustup.rs, or as root on Debian: apt-get install cargo-web rustc-web"
    apt_install cargo-web rustc-web
fi
# Debian's cc links the extension; rustup does not bring one.
if ! command -v cc >/dev/null; then
    can_install || stop "a C linker is needed: on Debian, apt-get install gcc libc6-dev"
    apt_install gcc libc6-dev
fi
rust=$(rustc --version | cut -d' ' -f2)
[ "$(printf '%s\n' "$RUST_MINIMUM" "$rust" | sort -V | head -n1)" = "$RUST_MINIMUM" ] ||
    stop "Rust $rust is too old, $RUST_MINIMUM or newer is needed: rustup update, or on Debian: apt-get install cargo-web rustc-web"

if [ "$(.uv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$UV_VERSION" ]; then
    rm -rf .uv
    python3 -m venv .uv
    .uv/bin/pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
fi

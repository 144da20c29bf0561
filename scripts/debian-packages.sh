#!/usr/bin/env bash
# Installs the programs that the demo, the tests, the benchmarks or the fuzzing need. Without root it says what is missing.
set -euo pipefail

case "${1:-}" in
    demo) wanted="iproute2:ip iputils-ping:ping" ;;
    test) wanted="iproute2:ip iputils-ping:ping wireguard-tools:wg wireguard-go:wireguard-go iperf3:iperf3 nftables:nft
        conntrack:conntrack miniupnpd:miniupnpd" ;;
    bench) wanted="iproute2:ip iputils-ping:ping wireguard-tools:wg wireguard-go:wireguard-go iperf3:iperf3 ethtool:ethtool" ;;
    fuzz) wanted="g++:c++" ;;
    *) echo "usage: debian-packages.sh demo|test|bench|fuzz" >&2; exit 2 ;;
esac

missing=()
for entry in $wanted; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${entry#*:}" >/dev/null || missing+=("${entry%%:*}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "setup: installing ${missing[*]} from Debian" >&2
    apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
    echo "setup: missing: ${missing[*]}; as root on Debian: apt-get install ${missing[*]}" >&2
    [ "$1" = test ] || exit 1
fi

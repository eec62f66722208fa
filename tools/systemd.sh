#!/usr/bin/env bash
# Checks the systemd unit: systemd reads every line of it, and finds little that is left open.
#
# It needs systemd-analyze 247, and no running systemd.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v systemd-analyze >/dev/null || { echo 'tools/systemd.sh: no systemd-analyze here; Debian has it in the package systemd' >&2; exit 1; }
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# With a program to be found, and no other unit.
mkdir -p "$root/usr/local/bin" "$root/bin" "$root/etc/systemd/system" "$root/usr/lib/systemd/system"
printf '#!/bin/sh\n' | tee "$root/usr/local/bin/llm_prober" >"$root/bin/kill"
chmod +x "$root/usr/local/bin/llm_prober" "$root/bin/kill"
cp deploy/systemd/llm_prober.service "$root/etc/systemd/system/"
for unit in network-online sysinit basic shutdown multi-user; do
	printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' $unit >"$root/usr/lib/systemd/system/$unit.target"
done
said=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --root="$root" --man=no --recursive-errors=one llm_prober.service 2>&1) || { echo "$said"; exit 1; }
[[ -z $said ]] || { echo "$said"; echo 'tools/systemd.sh: systemd has something to say of the unit' >&2; exit 1; }

# Exposure from 0, none, to 10, all; in tenths for --threshold.
systemd-analyze security --root="$root" --offline=yes --threshold=20 --no-pager llm_prober.service | tail -1

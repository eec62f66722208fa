#!/usr/bin/env bash
# Runs every static check, names and times each, and fails if any of them did.
#
#   tools/lint.sh              all checks
#   tools/lint.sh vet format   those alone
#
# VULNDB=URL reads the vulnerability database from elsewhere (a mirror, or file:///a/folder).
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

GO=${GO:-go}
TAGS=${TAGS:-smoke}
checks=(format vet staticcheck fix shell modules dependencies vulnerabilities)

tool() { "$GO" tool -modfile=tools/go.mod "$@"; }

# Each check prints what it found and returns non-zero. A note on fd 3 stands beside its verdict.

format() {
	local unformatted
	unformatted=$("$("$GO" env GOROOT)/bin/gofmt" -l .) || return
	[[ -z $unformatted ]] && return
	printf '%s\n' "$unformatted"
	echo 'cure: make fmt'
	return 1
}

vet() { "$GO" vet -tags "$TAGS" ./...; }

staticcheck() { tool staticcheck -tags "$TAGS" ./...; }

# Code that a newer Go says better.
fix() {
	"$GO" fix -tags "$TAGS" -diff ./... && return
	echo 'cure: make fmt'
	return 1
}

shell() {
	local script rc=0
	while IFS= read -r script; do
		bash -n "$script" || rc=1
	done < <(find . \( -path ./.git -o -path ./bin -o -path ./dist \) -prune -o -type f \( -name '*.sh' -o -path './.ci/*' \) -print)
	return $rc
}

# Modules are what go.sum says they are, and go.mod lists neither more nor less than the code needs.
modules() {
	local dir rc=0
	for dir in . tools tools/prometheus tools/helm tools/image e2e e2e/alertmanager browser dashboards/internal/generate bench/alerts; do
		"$GO" -C "$dir" mod verify >/dev/null || rc=1
		"$GO" -C "$dir" mod tidy -diff || { echo "cure: go -C $dir mod tidy"; rc=1; }
	done
	return $rc
}

# Each module that is linked into the program is in a list, with its licence and why it is there.
dependencies() { "$GO" -C tools run ./dependencies; }

# govulncheck ends with 3 when it finds something, and with 1 when it could not look. Of the latter, one
# message says that the database could not be read: no fault of the code, but no pass either.
vulnerabilities() {
	local errors rc=0
	{ errors=$(tool govulncheck -tags "$TAGS" ${VULNDB:+-db "$VULNDB"} ./... 2>&1 >&4); } 4>&1 || rc=$?
	[[ -n $errors ]] && printf '%s\n' "$errors"
	if ((rc == 1)) && [[ $'\n'$errors == *$'\ngovulncheck: fetching vulnerabilities: '* ]]; then
		echo "vulnerability database unreachable: not checked (${errors##*fetching vulnerabilities: })" >&3
		return 0
	fi
	return $rc
}

# run CHECK: a line with its verdict, its seconds and its note; below it what it printed, if it failed.
run() {
	local check=$1 start=$SECONDS verdict=ok note rc=0
	"$check" >"$scratch/out" 2>&1 3>"$scratch/note" || rc=1
	note=$(<"$scratch/note")
	if ((rc)); then
		verdict=FAIL failed+=("$check")
	elif [[ -n $note ]]; then
		verdict=SKIPPED skipped+=("$check")
	fi
	printf 'lint  %-15s  %-7s  %3ds  %s\n' "$check" "$verdict" $((SECONDS - start)) "$note"
	((rc)) && awk 'NR <= 100 { print "      " $0 } END { if (NR > 100) print "      ... and " NR - 100 " more lines" }' "$scratch/out"
	return $rc
}

for check in "$@"; do
	[[ " ${checks[*]} " == *" $check "* ]] || { echo "tools/lint.sh: no check $check; there are: ${checks[*]}" >&2; exit 2; }
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=() skipped=()
for check in "${@:-${checks[@]}}"; do
	run "$check"
done
((${#skipped[@]})) && echo "lint  NOT CHECKED: ${skipped[*]}"
((${#failed[@]})) && echo "lint  failed: ${failed[*]}"
((${#failed[@]} == 0))

#!/usr/bin/env bash
# Runs the fuzz targets of the tree, one after another. An input that fails is kept under its package's testdata/fuzz, its
# path is printed, and the exit code is 1: commit it with the cure.
#
#   FUZZTIME=10s   for how long each runs
#   FUZZBUDGET=150 instead: how many seconds all of them may take, with what it takes to build them
#   FUZZ=REGEXP    only those whose folder and name match, such as prober/wire:FuzzGemini
#
# Each package is built once, its own code and ours that it imports instrumented. `go test -fuzz` links it anew for every
# target, and instruments all that is imported: prober/wire then runs a fifth as many inputs in the same time, for what
# encoding/json has in its branches, and the first build compiles the standard library again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

GO=${GO:-go}
begin=$SECONDS
module=$("$GO" list -m)
cache=$("$GO" env GOCACHE)/fuzz
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT

mapfile -t targets < <(grep -rE --include='*_test.go' '^func Fuzz[A-Z0-9_][A-Za-z0-9_]*\(' . |
	sed -E 's#^\./##; s#/[^/]*_test\.go:func (Fuzz[A-Za-z0-9_]*)\(.*#:\1#' | sort | grep -E -e "${FUZZ:-.}" || true)
((${#targets[@]})) || { echo "fuzz  no target matches ${FUZZ:-.}" >&2; exit 1; }

# build DIR: its instrumented test binary.
build() { "$GO" test -c -gcflags="$module/...=-d=libfuzzer" -o "$bin/$1/test" "./$1"; }
export -f build
export GO module bin
printf '%s\n' "${targets[@]%:*}" | sort -u | xargs -P "$(nproc)" -I{} bash -euo pipefail -c 'build {}'

time=${FUZZTIME:-10s}
if [[ -n ${FUZZBUDGET:-} ]]; then
	# Each target takes a second more than it is given: to end its workers, and what its seeds take at the beginning.
	left=$(((FUZZBUDGET - (SECONDS - begin)) * 1000 / ${#targets[@]} - 1000))
	time=$((left > 500 ? left : 500))ms
fi
echo "fuzz  ${#targets[@]} targets, built in $((SECONDS - begin)) s, for $time each"

# run DIR NAME: one target.
run() {
	(cd "$1" && "$bin/$1/test" -test.run '^$' -test.fuzz "^$2\$" -test.fuzztime "$time" -test.fuzzcachedir "$cache/$module/$1") >"$bin/log" 2>&1
}

# out_of_time: the last run failed for one thing alone, that its time was over while a worker was still at an input. Go's fuzzing
# says so at times on a busy machine, and means nothing by it: what fails has an input or a trace.
out_of_time() {
	grep -qxE ' +context deadline exceeded' "$bin/log" && ! grep -qE 'testdata/fuzz/|seed corpus entry|panic|_test\.go:|hung or terminated' "$bin/log"
}

rc=0
for target in "${targets[@]}"; do
	dir=${target%:*} name=${target#*:}
	passed=false
	for again in 4 3 2 1 0; do
		if run "$dir" "$name"; then passed=true; elif ((again)) && out_of_time; then continue; fi
		break
	done
	if $passed; then
		echo "ok    $dir $name  $(grep -oE 'execs: [0-9]+|total: [0-9]+' "$bin/log" | tail -2 | paste -sd' ')"
		continue
	fi
	rc=1
	cat "$bin/log"
	# What is new is told as testdata/fuzz/NAME/HASH, what is checked in already as NAME/FILE.
	input=$(grep -oE "(testdata/fuzz/|seed corpus entry: )$name/[^ )]+" "$bin/log" | head -1 | sed -E 's#^seed corpus entry: #testdata/fuzz/#' || true)
	echo "FAIL  $dir $name${input:+  $dir/$input}"
done
echo "fuzz  done in $((SECONDS - begin)) s"
exit $rc

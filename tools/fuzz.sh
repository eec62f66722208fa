#!/usr/bin/env bash
# Runs each fuzz target of the tree for FUZZTIME (default 10s), one after another.
# An input that fails is kept by Go under the package's testdata/fuzz: commit it with the cure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

GO=${GO:-go}
rc=0 count=0
while IFS=: read -r file name; do
	count=$((count + 1))
	echo "fuzz  $name in ${file%/*} for ${FUZZTIME:=10s}"
	"$GO" test -run '^$' -fuzz "^$name\$" -fuzztime "$FUZZTIME" "${file%/*}" || rc=1
done < <(grep -rE --include='*_test.go' '^func Fuzz[A-Z0-9_][A-Za-z0-9_]*\(' . | sed -E 's/:func (Fuzz[A-Za-z0-9_]*)\(.*/:\1/' | sort)
echo "fuzz  $count targets"
exit $rc

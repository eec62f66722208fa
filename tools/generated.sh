#!/usr/bin/env bash
# Fails unless the generated files are what their generators write now.
# It generates in a copy, so that a check never changes the tree it checks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

GO=${GO:-go}
start=$SECONDS
if ! grep -rq --include='*.go' '^//go:generate ' .; then
	echo "generated  nothing is generated"
	exit 0
fi

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar --exclude=./.git --exclude=./bin --exclude=./dist --exclude=./bench/results -cf - . | tar -xf - -C "$copy"
cd "$copy"
git init --quiet
git add --all
"$GO" generate ./...
git add --all --intent-to-add
if ! git --no-pager diff --exit-code --stat --patch; then
	echo "generated  STALE, as above; cure: make generate  ($((SECONDS - start))s)"
	exit 1
fi
echo "generated  current  ($((SECONDS - start))s)"

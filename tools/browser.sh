#!/usr/bin/env bash
# Looks at the pages of the built binary with Chromium. See browser/doc.go.
#
#   tools/browser.sh               all tests of browser/
#   tools/browser.sh screenshots   draw docs/images anew, from the demo
#
# Chromium is found as chromium or google-chrome, or where CHROMIUM says. axe-core, pinned in browser/package-lock.json, is
# fetched by npm into bin/browser. Without Chromium the tests are skipped and without npm nothing is judged by axe-core; with
# CI=true both are installed where apt-get is, and nothing is skipped.
# LLM_PROBER_BINARY names another binary than bin/llm_prober, which is built if it is not there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

GO=${GO:-go}
modules=bin/browser
export LLM_PROBER_BINARY=${LLM_PROBER_BINARY:-$PWD/bin/llm_prober}
export AXE=$PWD/$modules/node_modules/axe-core/axe.min.js

has() { command -v "$1" >/dev/null; }
has_chromium() { [[ -n ${CHROMIUM:-} ]] || has chromium || has chromium-browser || has google-chrome || has google-chrome-stable; }

missing=()
has_chromium || missing+=(chromium)
[[ ${1:-} == screenshots ]] || has npm || missing+=(npm)
if ((${#missing[@]})); then
	if [[ ${CI:-} == true ]] && has apt-get; then
		echo "browser  installing ${missing[*]}"
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
	else
		echo "browser  ${missing[*]} missing; the cure on Debian and Ubuntu: apt-get install ${missing[*]}" >&2
	fi
fi

[[ -x $LLM_PROBER_BINARY ]] || make build

if [[ ${1:-} == screenshots ]]; then
	has_chromium || exit 1
	mkdir -p docs/images
	SCREENSHOTS=$PWD/docs/images "$GO" -C browser test -count=1 -timeout 15m -run '^TestScreenshots$' -v ./...
	exit
fi

if has npm && ! [[ $modules/node_modules/.package-lock.json -nt browser/package-lock.json ]]; then
	mkdir -p $modules
	cp browser/package.json browser/package-lock.json $modules/
	npm ci --prefix $modules --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null ||
		echo "browser  npm could not fetch axe-core" >&2 # the test says what that means
fi
"$GO" -C browser test -count=1 -timeout 15m ./...

#!/usr/bin/env bash
# Does what a newcomer does who has Go, a C compiler, make, git and nothing else of ours: clones, follows the README and every page
# of docs, and tries what a release would publish. Nothing is taken from the user's home: no module, no build, no setting.
#
#   tools/release-check.sh              a clone of the last commit
#   tools/release-check.sh --worktree   a copy of the tree as it is, to try it before a commit
#
# PARTS='pages release'  both by default: the pages as they are to be followed, and what a release would publish.
# SKIP='make test'   commands of the pages that are left out, one per line: those that the same run has done elsewhere. It says so.
# PROMTOOL=FILE      a promtool for Prometheus' files in the pages, by default that of tools/rules.sh, if it is built.
# PAGES=docs/x.md    those pages alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

GO=${GO:-go}
PARTS=${PARTS:-pages release}
PROMTOOL=${PROMTOOL:-$PWD/bin/rules/promtool}
repository=$PWD start=$SECONDS part=$SECONDS
scratch=$(mktemp -d)
demo=
trap '[[ -z $demo ]] || kill -KILL $demo 2>/dev/null; chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
clone=$scratch/llm_prober

# shown WORDS...: what has just been shown, and how long that took.
shown() {
	printf 'release-check  %s  (%ds)\n' "$*" $((SECONDS - part))
	part=$SECONDS
}

fail() {
	echo "release-check  FAIL: $*" >&2
	exit 1
}

if [[ ${1:-} == --worktree ]]; then
	mkdir "$clone"
	git ls-files -z --cached --others --exclude-standard |
		while IFS= read -r -d '' file; do [[ ! -e $file ]] || printf '%s\0' "$file"; done |
		tar --null --files-from=- -cf - | tar -xf - -C "$clone"
	git -C "$clone" init --quiet
	git -C "$clone" add --all
	git -C "$clone" -c user.name=check -c user.email=check@localhost -c commit.gpgsign=false commit --quiet --message='the working tree'
	shown "a copy of the working tree"
else
	[[ -z $(git status --porcelain) ]] || echo "release-check  what is not committed is not checked: --worktree does that"
	git clone --quiet --no-hardlinks "file://$repository" "$clone"
	shown "a clone of $(git -C "$clone" log -1 --format='%h %s')"
fi

# A home, caches and settings that nobody has used before. Where modules come from is the machine's affair.
for name in GOPROXY GOSUMDB GONOSUMDB GONOPROXY GOPRIVATE GOINSECURE GOTOOLCHAIN; do
	export "$name=$("$GO" env $name)"
done
unset MAKEFLAGS MAKELEVEL MFLAGS VERSION REVISION BRANCH BUILD_DATE BUILD_USER GOENV GOROOT
export HOME=$scratch/home GOPATH=$scratch/go GOMODCACHE=$scratch/modules GOCACHE=$scratch/cache GOFLAGS=-modcacherw GOENV=off
export TMPDIR=$scratch/tmp
mkdir "$HOME" "$TMPDIR"
cd "$clone"

# has PART: it was asked for.
has() { [[ " $PARTS " == *" $1 "* ]]; }

has pages || has release || fail "PARTS=$PARTS: want pages, release, or both"
targets=$(make)
for target in demo test build release-check; do
	[[ $targets == *"make $target "* ]] || fail "make alone does not name make $target"
done
shown "make lists $(wc -l <<<"$targets") targets"

# As a newcomer does it: every module comes from the network, and nothing has been built before.
pages() {
	make --silent build >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "make build"; }
	shown "make build, with modules from the network and no cache"

	local arguments=(-root "$clone" -clone) command
	if [[ -x $PROMTOOL ]]; then
		arguments+=(-promtool "$PROMTOOL")
	else
		echo "release-check  NOT CHECKED: Prometheus' files in the pages, for there is no promtool; cure: tools/rules.sh syntax"
	fi
	while IFS= read -r command; do
		[[ -z $command ]] || arguments+=(-skip "$command")
	done <<<"${SKIP:-}"
	# shellcheck disable=SC2086
	"$GO" -C tools run ./docs "${arguments[@]}" ${PAGES:-}
	shown "README and docs, followed as written"
}

# A release, and the archive for this machine as somebody would use it who has fetched it.
release() {
	tools/release.sh >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "tools/release.sh"; }
	local machine file said address archives
	machine=$("$GO" env GOOS)-$("$GO" env GOARCH)
	mkdir "$scratch/fetched"
	cp dist/* "$scratch/fetched/"
	cd "$scratch/fetched"
	sha256sum --check --quiet SHA256SUMS
	for file in *.tar.gz *.tgz *.cdx.json; do
		grep -qF "  $file" SHA256SUMS || fail "SHA256SUMS lacks $file"
	done
	archives=(llm_prober-*."$machine".tar.gz)
	[[ -f ${archives[0]} ]] || fail "no archive for $machine among: $(echo *)"
	tar -xzf "${archives[0]}"
	cd "$(basename "${archives[0]}" .tar.gz)"
	for file in LICENSE README.md THIRD_PARTY_LICENSES llm_prober.example.yml llm_prober.service; do
		[[ -s $file ]] || fail "${archives[0]} lacks $file"
	done
	said=$(./llm_prober --version)
	[[ $said == *"$(git -C "$clone" rev-parse HEAD)"* ]] || fail "--version does not name the commit: $said"
	./llm_prober check-config llm_prober.example.yml >/dev/null
	shown "release archives: $(cd ../ && echo ./*.tar.gz | wc -w), their checksums, and $machine's --version and check-config"

	# The demo of the archive, from nothing to a probe that succeeded.
	./llm_prober demo --web.listen-address=127.0.0.1:0 2>"$scratch/demo.log" >/dev/null &
	demo=$!
	address=$(grep -om1 'msg="Listening on" address=[^ ]*' < <(tail --pid=$demo --lines=+1 --follow "$scratch/demo.log")) ||
		fail "the demo ended: $(<"$scratch/demo.log")"
	address=${address##*=}
	# A gate waits by itself, and says why if it waited in vain.
	./llm_prober gate --url="http://$address" --target=demo --wait=60s --allow-degraded >"$scratch/log" || { cat "$scratch/log"; fail "the demo's target is not ready"; }
	curl -fsS "http://$address/metrics" >"$scratch/metrics"
	grep -q '^llm_probe_requests_total{.*outcome="ok".*} [1-9]' "$scratch/metrics" || fail "no request of the demo succeeded"
	kill -INT $demo
	wait $demo || fail "the demo ended with $?"
	demo=
	shown "the archive's demo"
}

if has pages; then pages; fi
if has release; then release; fi
echo "release-check  passed  ($((SECONDS - start))s)"

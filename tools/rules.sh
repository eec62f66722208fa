#!/usr/bin/env bash
# Checks the alert rules with Prometheus's own tools, names and times each check, and fails if any of them did.
#
#   tools/rules.sh               all checks
#   tools/rules.sh syntax tests  those alone
#
# The tools are pinned in tools/prometheus/go.mod and built once into bin/rules, which takes some minutes.
# PROMTOOL_OLDEST=FILE is a promtool of the oldest Prometheus that is supported, 2.42; without one that check is left out.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

GO=${GO:-go}
bin=bin/rules
checks=(syntax tests lint routes names oldest)

# build TOOL PACKAGE: promtool's service discoveries are left out, for they are most of it.
build() { [[ $bin/$1 -nt tools/prometheus/go.mod ]] || "$GO" -C tools/prometheus build -trimpath -tags remove_all_sd -o "$PWD/$bin/$1" "$2"; }

syntax() {
	build promtool github.com/prometheus/prometheus/cmd/promtool || return
	$bin/promtool check rules --lint=all --lint-fatal alerts/rules/*.yml &&
		$bin/promtool check config --syntax-only deploy/compose/prometheus/prometheus.yml
}

tests() {
	build promtool github.com/prometheus/prometheus/cmd/promtool || return
	$bin/promtool test rules alerts/tests/*_test.yml
}

lint() {
	build pint github.com/cloudflare/pint/cmd/pint || return
	$bin/pint --offline --no-color --config alerts/pint.hcl lint --fail-on=warning alerts/rules
}

routes() {
	build amtool github.com/prometheus/alertmanager/cmd/amtool || return
	local file=alerts/alertmanager.example.yml rc=0 receiver labels
	$bin/amtool check-config $file || return
	while read -r receiver labels; do
		# shellcheck disable=SC2086
		$bin/amtool config routes test --config.file=$file --verify.receivers="$receiver" $labels || rc=1
	done <<-'END'
		pager   alertname=LLMObjectiveBurnFast severity=critical target=chat job=llm_prober
		pager   alertname=LLMProberAbsent severity=critical job=llm_prober
		tickets alertname=LLMTTFTRegression severity=warning target=chat
		tickets alertname=LLMTTFTRegression severity=warning target=other
		chat    alertname=LLMDecodeSlow severity=info target=chat
		nobody  alertname=LLMRampRunning severity=info target=chat ramp=soak
	END
	return $rc
}

# Metrics and labels exist, each alert has its runbook, its dashboard and its tests.
names() { "$GO" -C tools/prometheus test ./rulecheck; }

oldest() {
	local promtool=${PROMTOOL_OLDEST:-}
	[[ -n $promtool ]] || { echo 'no PROMTOOL_OLDEST: not checked' >&3; return; }
	# It has no words for native histograms in tests.
	"$promtool" check rules alerts/rules/*.yml &&
		find alerts/tests -name '*_test.yml' ! -name native_test.yml -print0 | xargs -0 "$promtool" test rules
}

# run CHECK: a line with its verdict, its seconds and its note; below it what it printed, if it failed.
run() {
	local check=$1 start=$SECONDS verdict=ok note rc=0
	"$check" >"$scratch/out" 2>&1 3>"$scratch/note" || rc=1
	note=$(<"$scratch/note")
	if ((rc)); then
		verdict=FAIL failed+=("$check")
	elif [[ -n $note ]]; then
		verdict=SKIPPED
	fi
	printf 'rules  %-7s  %-7s  %3ds  %s\n' "$check" "$verdict" $((SECONDS - start)) "$note"
	((rc)) && awk 'NR <= 100 { print "      " $0 } END { if (NR > 100) print "      ... and " NR - 100 " more lines" }' "$scratch/out"
	return $rc
}

for check in "$@"; do
	[[ " ${checks[*]} " == *" $check "* ]] || { echo "tools/rules.sh: no check $check; there are: ${checks[*]}" >&2; exit 2; }
done
mkdir -p $bin
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=()
for check in "${@:-${checks[@]}}"; do
	run "$check"
done
((${#failed[@]})) && echo "rules  failed: ${failed[*]}"
((${#failed[@]} == 0))

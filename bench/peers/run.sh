#!/usr/bin/env bash
# Runs other clients against the same simulated server as ours, with the same workload (first token after 50 ms, one each
# 10 ms, 100 tokens; a constant number of streams that all begin at once), and prints their times to first token beside
# what the server did.
#
#   bench/peers/run.sh [TOOL...]     ours aiohttp aiperf k6 guidellm; without guidellm unless named: it brings 6 GB
#
#   STREAMS="1 100 500"  SECONDS_EACH=15  WORK=/tmp/llm_prober-peers (what is installed stays there for the next time)
#   XK6_SSE=DIR          a checkout of github.com/phymbert/xk6-sse, where Go cannot fetch that module
#
# A tool that cannot be installed or run is said so, and the others go on.
set -uo pipefail
cd "$(dirname "$0")/../.."
here=$PWD/bench/peers
STREAMS=${STREAMS:-1 100 500}
SECONDS_EACH=${SECONDS_EACH:-15}
WORK=${WORK:-${TMPDIR:-/tmp}/llm_prober-peers}
tokens=100
K6=v1.8.1
mkdir -p "$WORK" bench/results
log=$WORK/log
: >"$log"
results=$PWD/bench/results/peers.jsonl
: >"$results"
tools=("$@")
[ $# -gt 0 ] || tools=(ours aiohttp aiperf k6)

go build -o "$WORK/accuracy" ./bench/accuracy || exit 1

server=
stop_server() {
	[ -z "$server" ] && return
	kill "$server" 2>/dev/null
	wait "$server" 2>/dev/null
	server=
}
trap stop_server EXIT

# start_server leaves the server's URL, without /v1, in $base.
start_server() {
	: >"$WORK/url"
	"$WORK/accuracy" --serve=127.0.0.1:0 >"$WORK/url" 2>>"$log" &
	server=$!
	for _ in $(seq 100); do
		[ -s "$WORK/url" ] && break
		sleep 0.1
	done
	base=$(sed 's,/v1$,,' "$WORK/url")
	[ -n "$base" ]
}

venv() { # venv NAME PACKAGE...: installs once
	local dir=$WORK/$1
	shift
	[ -e "$dir/installed" ] && return
	python3 -m venv "$dir" >>"$log" 2>&1 && "$dir/bin/pip" install --quiet "$@" >>"$log" 2>&1 && touch "$dir/installed"
}

install_ours() { :; }
run_ours() {
	"$WORK/accuracy" --url="$base/v1" --streams="$1" --duration="${SECONDS_EACH}s" --rounds=0 --together --output=json >"$2" 2>>"$log"
}
version_ours() { git describe --always --dirty 2>/dev/null; }

install_aiohttp() { venv aiohttp aiohttp; }
run_aiohttp() {
	"$WORK/aiohttp/bin/python" "$here/aiohttp_reader.py" "$base/v1" "$1" "$SECONDS_EACH" $tokens >"$2" 2>>"$log"
}
version_aiohttp() { "$WORK/aiohttp/bin/python" -c 'import aiohttp; print(aiohttp.__version__)'; }

# aiperf needs a tokenizer even where it does not count with it, and its built-in one is fetched: so it is given one whose
# tokens are bytes.
install_aiperf() {
	venv aiperf aiperf && "$WORK/aiperf/bin/python" - "$WORK/tokenizer" >>"$log" 2>&1 <<'PY'
import sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

letters = sorted(pre_tokenizers.ByteLevel.alphabet())
t = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate([*letters, "<s>"])}, merges=[]))
t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
t.decoder = decoders.ByteLevel()
PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>", eos_token="<s>").save_pretrained(sys.argv[1])
PY
}
run_aiperf() {
	rm -rf "$WORK/aiperf-out"
	"$WORK/aiperf/bin/aiperf" profile --model sim-8b --url "$base" --endpoint-type chat --streaming \
		--concurrency "$1" --benchmark-duration "$SECONDS_EACH" --isl 20 --osl $tokens --extra-inputs ignore_eos:true \
		--tokenizer "$WORK/tokenizer" --use-server-token-count --no-gpu-telemetry --no-server-metrics --ui none \
		--artifact-dir "$WORK/aiperf-out" >>"$log" 2>&1 && cp "$WORK/aiperf-out/profile_export_aiperf.json" "$2"
}
version_aiperf() { "$WORK/aiperf/bin/pip" show aiperf | sed -n 's/^Version: //p'; }

install_k6() {
	[ -x "$WORK/k6/k6" ] && return
	mkdir -p "$WORK/k6"
	printf 'module k6sse\n\ngo 1.25\n' >"$WORK/k6/go.mod"
	printf 'package main\n\nimport (\n\t_ "github.com/phymbert/xk6-sse"\n\t"go.k6.io/k6/cmd"\n)\n\nfunc main() { cmd.Execute() }\n' >"$WORK/k6/main.go"
	(
		cd "$WORK/k6" && go mod edit -require="go.k6.io/k6@$K6" &&
			if [ -n "${XK6_SSE:-}" ]; then
				go mod edit -require=github.com/phymbert/xk6-sse@v0.0.0 -replace=github.com/phymbert/xk6-sse="$XK6_SSE"
			fi &&
			go mod tidy && CGO_ENABLED=0 go build -o k6 .
	) >>"$log" 2>&1
}
run_k6() {
	URL=$base/v1 STREAMS=$1 TOKENS=$tokens HOLD=${SECONDS_EACH}s OUT=$2 \
		"$WORK/k6/k6" run --quiet --no-usage-report "$here/k6.js" >>"$log" 2>&1
}
version_k6() { "$WORK/k6/k6" version | head -1; }

install_guidellm() { venv guidellm guidellm; }
run_guidellm() {
	# A row of data serves one request, and the run ends with the data.
	python3 - "$WORK/prompts.json" $(($1 * SECONDS_EACH + 100)) $tokens <<-'PY'
		import json, sys
		row = {"prompt": "How long does it take you to answer this?", "output_tokens_count": int(sys.argv[3])}
		json.dump([row] * int(sys.argv[2]), open(sys.argv[1], "w"))
	PY
	"$WORK/guidellm/bin/guidellm" run \
		--backend "kind=openai_http,target=$base,model=sim-8b,validate_backend=false,request_format=/v1/chat/completions" \
		--profile "kind=concurrent,streams=$1" --constraint "kind=max_duration,seconds=$SECONDS_EACH" \
		--data "kind=json_file,path=$WORK/prompts.json" --output "kind=json,path=$2" --disable-console >>"$log" 2>&1
}
version_guidellm() { "$WORK/guidellm/bin/pip" show guidellm | sed -n 's/^Version: //p'; }

export WORK SECONDS_EACH tokens log here
export -f run_ours run_aiohttp run_aiperf run_k6 run_guidellm

echo "load average before: $(cut -d' ' -f1-3 /proc/loadavg 2>/dev/null); each run ${SECONDS_EACH} s; times in ms; details in $log"
python3 "$here/row.py" head
for tool in "${tools[@]}"; do
	if ! declare -F "run_$tool" >/dev/null; then
		echo "$tool: not a tool of this comparison"
		continue
	fi
	if ! "install_$tool"; then
		echo "$tool: could not be installed"
		continue
	fi
	echo "$tool $("version_$tool")"
	for n in $STREAMS; do
		start_server || { echo "the server did not start"; exit 1; }
		out=$WORK/out-$tool-$n.json
		rm -f "$out"
		export base
		if timeout $((SECONDS_EACH + 180)) bash -c "run_$tool $n '$out'"; then
			python3 "$here/row.py" "$tool" "$n" "$out" "$base" "$results" || echo "$tool, $n streams: its output could not be read"
		else
			echo "$tool, $n streams: failed (exit $?)"
		fi
		stop_server
	done
done

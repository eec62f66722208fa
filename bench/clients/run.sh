#!/usr/bin/env bash
# Has the official OpenAI and Anthropic clients judge the simulated server: streams, whole answers, tool calls, reasoning,
# documents and errors, of each dialect that they can read.
#
#   bench/clients/run.sh
#
#   LLM_PROBER_BINARY=FILE   a built binary; else one is built
#   WORK=DIR                 where the clients are installed, and stay; else a temporary folder, removed at the end
#
# One line for each check; the exit code is 1 if any failed, 2 if there was nothing to check with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

temporary=$(mktemp -d)
work=${WORK:-$temporary}
log=$temporary/server.log
servers=()
finish() {
	for server in "${servers[@]}"; do
		kill "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	done
	rm -rf "$temporary"
}
trap finish EXIT

if [[ ! -e $work/venv/installed ]]; then
	python3 -m venv "$work/venv" &&
		"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r bench/clients/requirements.txt &&
		touch "$work/venv/installed" || { echo "the clients could not be installed" >&2; exit 2; }
fi

binary=${LLM_PROBER_BINARY:-}
if [[ -z $binary ]]; then
	binary=$temporary/llm_prober
	go build -o "$binary" ./cmd/llm_prober
fi

# serve DIALECT: starts a server of that dialect, and adds it to what is checked.
urls=()
serve() {
	local url
	: >"$log"
	"$binary" simulate --listen-address=127.0.0.1:0 --model=sim-8b --dialect="$1" --api-key=secret --first-token=20ms --per-token=1ms 2>"$log" &
	servers+=($!)
	for _ in $(seq 100); do
		url=$(grep -o 'http://127[0-9.:]*' "$log" | head -1) && break
		sleep 0.1
	done
	[[ -n $url ]] || { cat "$log" >&2; exit 2; }
	urls+=("$1=$url")
}

for dialect in vllm sglang tgi llamacpp ollama openai azure anthropic; do
	serve "$dialect"
done
"$work/venv/bin/python" bench/clients/check.py "${urls[@]}"

#!/usr/bin/env bash
# Probes a real llama-server, and a real LiteLLM before it, with a model of random weights that is made on the spot, and holds
# what the prober says against what the server counted.
#
#   bench/engines/run.sh
#
#   LLAMA_SERVER=FILE        llama.cpp's server; else the one in PATH
#   LITELLM=FILE             LiteLLM's proxy; else the one in PATH, and without one that part is left out
#   PYTHON=FILE              a Python with gguf and numpy; else python3
#   LLM_PROBER_BINARY=FILE   a built binary; else one is built
#
# One line for each check; the exit code is 1 if any failed, 2 if there was nothing to check with. What is to be installed, and
# how, is up to you. All listens on loopback.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

llama=${LLAMA_SERVER:-$(command -v llama-server || true)}
litellm=${LITELLM:-$(command -v litellm || true)}
python=${PYTHON:-python3}
[[ -n $llama ]] || { echo "there is no llama-server: set LLAMA_SERVER" >&2; exit 2; }
"$python" -c 'import gguf, numpy' || { echo "$python needs gguf and numpy: set PYTHON" >&2; exit 2; }

work=$(mktemp -d)
servers=()
finish() {
	for server in "${servers[@]}"; do
		kill "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	done
	rm -rf "$work"
}
trap finish EXIT

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# await URL LOG: waits until a server answers there.
await() {
	for _ in $(seq 600); do
		curl -sf -o /dev/null "$1" && return
		sleep 0.1
	done
	cat "$2" >&2
	exit 2
}

binary=${LLM_PROBER_BINARY:-}
if [[ -z $binary ]]; then
	binary=$work/llm_prober
	go build -o "$binary" ./cmd/llm_prober
fi

"$python" bench/engines/tiny_model.py "$work/tiny.gguf"
"$llama" --version 2>&1 | head -1
url=http://127.0.0.1:$(free_port)
"$llama" --model "$work/tiny.gguf" --alias tiny --ctx-size 8192 --parallel 2 --metrics --host 127.0.0.1 --port "${url##*:}" >"$work/llama.log" 2>&1 &
servers+=($!)
await "$url/health" "$work/llama.log"
arguments=("$url")

if [[ -n $litellm ]]; then
	"$litellm" --version 2>/dev/null | grep -i version || true
	gateway=http://127.0.0.1:$(free_port)
	cat >"$work/litellm.yml" <<-YAML
		model_list:
		  - model_name: tiny
		    litellm_params: {model: openai/tiny, api_base: "$url/v1", api_key: none}
	YAML
	echo "sk-$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')" >"$work/key"
	LITELLM_MASTER_KEY=$(cat "$work/key") LITELLM_LOCAL_MODEL_COST_MAP=True \
		"$litellm" --config "$work/litellm.yml" --host 127.0.0.1 --port "${gateway##*:}" --telemetry False >"$work/litellm.log" 2>&1 &
	servers+=($!)
	await "$gateway/health/liveliness" "$work/litellm.log"
	arguments+=("$gateway" "$work/key")
else
	echo "there is no litellm: that part is left out"
fi
"$python" bench/engines/check.py "$binary" "${arguments[@]}"

#!/usr/bin/env bash
# Has everything go wrong around a real prober, for a while, and checks what it makes of it. See e2e/chaos/doc.go.
#
#   tools/chaos.sh              two minutes of it, three in all
#   tools/chaos.sh 30m          longer
#   SEED=42 tools/chaos.sh      the same again
#
# What the programs said is left in bin/chaos.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

GO=${GO:-go}
bin=bin/chaos

rm -rf $bin
mkdir -p $bin
# NVML's symbols are bound when first called.
"$GO" build -trimpath -ldflags '-extldflags=-Wl,-z,lazy' -o $bin/llm_prober ./cmd/llm_prober

export LLM_PROBER_CHAOS=${1:-2m} LLM_PROBER_CHAOS_SEED=${SEED:-} LLM_PROBER_CHAOS_BINARY=$PWD/$bin/llm_prober
"$GO" -C e2e test -count=1 -timeout 2h -artifacts -outputdir "$PWD/$bin" -v ./chaos

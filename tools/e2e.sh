#!/usr/bin/env bash
# Builds a real Prometheus and a real Alertmanager, pinned in e2e/go.mod and e2e/alertmanager/go.mod, and runs the whole chain
# with them on loopback: simulated servers, the prober, both of them with the shipped rules and routes, and a webhook.
#
#   tools/e2e.sh         build what is missing, and run it
#   tools/e2e.sh build   build alone
#
# The programs are kept in bin/e2e until the versions change. See e2e/doc.go.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

GO=${GO:-go}
bin=bin/e2e

# build FILE MODULE PACKAGE: unless there is one that is newer than the versions it is made of.
build() {
	local file=$1 module=$2 package=$3 start=$SECONDS
	if [[ $file -nt $module/go.mod ]]; then
		echo "e2e  $file is there"
		return
	fi
	"$GO" -C "$module" build -trimpath -tags remove_all_sd -o "$PWD/$file" "$package"
	echo "e2e  $file built  ($((SECONDS - start))s)"
}

mkdir -p $bin bin/rules
# Prometheus' service discoveries are left out, for they are most of it. pint is the one of tools/rules.sh.
build $bin/prometheus e2e github.com/prometheus/prometheus/cmd/prometheus
build $bin/alertmanager e2e/alertmanager github.com/prometheus/alertmanager/cmd/alertmanager
build bin/rules/pint tools/prometheus github.com/cloudflare/pint/cmd/pint
ln -sf ../rules/pint $bin/pint
# The prober itself is cheap to build, and is always that of this tree. Its NVML symbols are bound when first called.
"$GO" build -trimpath -ldflags '-extldflags=-Wl,-z,lazy' -o $bin/llm_prober ./cmd/llm_prober
[[ ${1:-} == build ]] && exit

# What runs in parallel here waits for others, not for a processor.
LLM_PROBER_E2E=$PWD/$bin "$GO" -C e2e test -count=1 -timeout 20m -parallel 8 -v .

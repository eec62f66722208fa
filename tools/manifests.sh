#!/usr/bin/env bash
# Writes deploy/kubernetes, the plain manifests, from the Helm chart and ci/manifests-values.yaml.
#
#   tools/manifests.sh           write
#   tools/manifests.sh --check   fail unless writing would change nothing
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

GO=${GO:-go}
chart=deploy/helm/llm-prober
out=deploy/kubernetes
[[ ${1:-} == --check ]] && out=$(mktemp -d) && trap 'rm -rf "$out"' EXIT

mkdir -p "$out" bin
rm -f "$out"/*.yaml
"$GO" -C tools/helm build -o "$PWD/bin/helm-template" .
# A file for each template, without what only Helm's releases need.
bin/helm-template $chart $chart/ci/manifests-values.yaml llm-prober llm-prober |
	sed -e '/^ *helm\.sh\/chart: /d' -e 's|^\( *app\.kubernetes\.io/managed-by:\) Helm$|\1 kubectl|' \
		-e 's|image: "llm_prober:.*"|image: llm_prober:latest|' |
	awk -v out="$out" '
		$0 == "---" { next }
		/^# Source: / { file = out "/" $3; if (!(file in begun)) { print "# Written by tools/manifests.sh from deploy/helm/llm-prober; change that." > file; begun[file] } print "---" >> file; next }
		{ print >> file }'
{
	echo '# Written by tools/manifests.sh: kubectl create namespace llm-prober && kubectl apply --kustomize deploy/kubernetes'
	echo 'apiVersion: kustomize.config.k8s.io/v1beta1'
	echo 'kind: Kustomization'
	echo 'namespace: llm-prober'
	echo '# Put your own image here: newName has the registry that you pushed it to.'
	echo 'images: [{name: llm_prober, newName: llm_prober, newTag: latest}]'
	echo 'resources:'
	(cd "$out" && printf '  - %s\n' *.yaml) | sed -e '/kustomization\.yaml/d' -e '/config\.yaml/s/$/          # your probes and targets/' \
		-e '/gpu-agent\.yaml/s/$/       # for nodes with NVIDIA GPUs; others have no use for it/' -e "/monitoring\.yaml/s/$/      # needs the Prometheus Operator's resources; without it, leave this out/"
} >"$out/kustomization.yaml"

if [[ ${1:-} == --check ]] && ! diff -ru deploy/kubernetes "$out"; then
	echo "deploy/kubernetes is not what the chart makes; cure: tools/manifests.sh" >&2
	exit 1
fi

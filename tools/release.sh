#!/usr/bin/env bash
# Builds the archives of a release into dist: a program for each platform, its bill of materials, checksums, and the chart.
#
#   tools/release.sh                all platforms
#   tools/release.sh linux/amd64    some
#   tools/release.sh --check ...    build twice, in different folders and with an empty build cache, and compare every byte
#
# The programs for Linux read GPUs, which takes a C compiler for each architecture: aarch64-linux-gnu-gcc for arm64. Where one is
# missing, the program is built without, its archive is called so, and the script says so. darwin has no NVML.
# What is built is the working tree, stamped as `make build` stamps it; a tree that differs from its commit says -dirty.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

GO=${GO:-go}
check=
[[ ${1:-} == --check ]] && check=yes && shift
platforms=("$@")
((${#platforms[@]})) || platforms=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64)

# value NAME: a variable of the Makefile.
value() { make --silent --no-print-directory --eval="value-of-it: ; @echo '\$($1)'" value-of-it; }
version=${VERSION:-$(value VERSION)}
stamp=("VERSION=$version" "REVISION=$(value REVISION)" "BRANCH=$(value BRANCH)" "BUILD_DATE=$(value BUILD_DATE)" BUILD_USER=release)
epoch=$(git log -1 --format=%ct 2>/dev/null || echo 0)

# packed FOLDER: its content as a .tar.gz on the standard output, the same bytes each time.
packed() {
	tar --create --dereference --directory="$(dirname "$1")" --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
		--mtime="@$epoch" --format=ustar "$(basename "$1")" | gzip --no-name --best
}

# licences TREE: the texts under which what is linked may be passed on.
licences() {
	local module dir file
	"$GO" -C "$1" list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}}@{{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/llm_prober | sort -u |
		while read -r module dir; do
			for file in "$dir"/{LICENSE,LICENCE,COPYING,NOTICE}*; do
				if [[ -f $file ]]; then
					printf '==> %s %s\n\n%s\n\n' "$module" "$(basename "$file")" "$(<"$file")"
				fi
			done
		done
}

# platform OS/ARCH TREE OUT: one archive and its bill of materials.
platform() {
	local os=${1%/*} arch=${1#*/} tree=$2 out=$3 cgo=0 cc='' suffix='' link='-s -w' name
	if [[ $os == linux ]]; then
		for cc in "$([[ $arch == "$("$GO" env GOHOSTARCH)" ]] && echo "${CC:-gcc}")" "${arch/#amd64/x86_64}-linux-gnu-gcc" "${arch/#arm64/aarch64}-linux-gnu-gcc"; do
			[[ -n $cc ]] && command -v "$cc" >/dev/null && cgo=1 && break
		done
		if ((cgo)); then
			link+=' -extldflags=-Wl,-z,lazy' # see LAZY in the Makefile
		else
			suffix=-without-gpu
			echo "release  $1: no C compiler for it, so it is built without GPUs" >&2
		fi
	fi
	name=llm_prober-$version.$os-$arch$suffix
	GOOS=$os GOARCH=$arch CC=$cc make --silent --directory="$tree" build GO="$GO" CGO_ENABLED=$cgo LAZY="$link" "${stamp[@]}"
	mkdir -p "$tree/pack/$name"
	mv "$tree/bin/llm_prober" "$tree/pack/$name/"
	(cd "$tree" && cp LICENSE README.md config/llm_prober.example.yml "pack/$name/")
	GOOS=$os GOARCH=$arch CGO_ENABLED=$cgo licences "$tree" >"$tree/pack/$name/THIRD_PARTY_LICENSES"
	[[ $os != linux ]] || cp "$tree"/deploy/systemd/* "$tree/pack/$name/"
	packed "$tree/pack/$name" >"$out/$name.tar.gz"
	"$GO" -C tools run ./sbom "$tree/pack/$name/llm_prober" "$version" >"$out/$name.cdx.json"
}

# chart TREE OUT: the Helm chart with this version, its rules and dashboards in place of the links to them.
chart() {
	local pack
	pack=$(mktemp -d)
	tar --create --dereference --directory="$1/deploy/helm" --exclude='*.go' --exclude=internal --exclude=testdata --exclude=ci llm-prober | tar --extract --directory="$pack"
	sed -i -e "s|^version: .*|version: $version|" -e "s|^appVersion: .*|appVersion: \"$version\"|" "$pack/llm-prober/Chart.yaml"
	packed "$pack/llm-prober" >"$2/llm-prober-chart-$version.tgz"
	rm -rf "$pack"
}

# release SOURCE OUT: everything, built in a new folder.
release() {
	local source=$1 out=$2 tree p
	tree=$(mktemp -d)
	trees+=("$tree")
	mkdir -p "$out"
	cp -a "$source/." "$tree"
	for p in "${platforms[@]}"; do
		platform "$p" "$tree" "$out"
	done
	chart "$tree" "$out"
	(cd "$out" && sha256sum -- *.tar.gz *.tgz *.cdx.json >SHA256SUMS)
}

trees=()
trap 'chmod -R u+w "${trees[@]}" 2>/dev/null; rm -rf "${trees[@]}"' EXIT
source=$(mktemp -d) # the tree as it is now, whoever goes on to write in it
trees+=("$source")
tar --exclude=./.git --exclude=./bin --exclude=./dist -cf - . | tar -xf - -C "$source"
rm -rf dist
release "$source" dist
(cd dist && sha256sum --check --quiet SHA256SUMS && cat SHA256SUMS && ls -l | awk 'NR > 1 { printf "%8.2f MB  %s\n", $5 / 1e6, $9 }')
if [[ -n $check ]]; then
	again=$(mktemp -d) cache=$(mktemp -d)
	trees+=("$again" "$cache")
	GOCACHE=$cache release "$source" "$again"
	diff -r dist "$again" || { echo 'release  two builds differ' >&2; exit 1; }
	echo 'release  reproducible: two builds in different folders, the second without a cache, are the same to the byte'
fi

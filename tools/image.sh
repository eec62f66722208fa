#!/usr/bin/env bash
# Builds the image that Dockerfile describes, without Docker and without a registry, runs it, and tests and measures it.
#
#   tools/image.sh                     needs Debian, Go and root (for mounts)
#   tools/image.sh -limit 60000000     arguments are those of tools/image
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

GO=${GO:-go}
# value NAME: a variable of the Makefile, so that the image is stamped as every other build is.
value() { make --silent --no-print-directory --eval="value-of-it: ; @echo '\$($1)'" value-of-it; }

mkdir -p bin
"$GO" -C tools/image build -o "$PWD/bin/image" .
exec bin/image -build-arg "VERSION=${VERSION:-$(value VERSION)}" -build-arg "REVISION=$(value REVISION)" \
	-build-arg "BRANCH=$(value BRANCH)" -build-arg "BUILD_DATE=$(value BUILD_DATE)" "$@" "$PWD"

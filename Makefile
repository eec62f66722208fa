# The two commands of the README are `make demo` and `make test`; `make` alone lists the others.
# Everything that a target needs beyond Go, a C compiler and git is fetched by Go, pinned in go.mod and tools/go.mod.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help
.NOTPARALLEL:

GO        ?= go
PKG       ?= ./...
TAGS      := smoke
TESTFLAGS ?=
BENCH     ?= .
BENCHTIME ?= 1s
COUNT     ?= 6
BASE      ?=
FUZZTIME  ?= 10s
FUZZBUDGET ?=
FUZZ      ?=
ACCURACY  ?=
DEMOFLAGS ?=
PAGES     ?=
CHAOS     ?=
SOAKFLAGS ?= --duration=3m
FOOTPRINTFLAGS ?=

# What the binary says of itself in --version and in llm_prober_build_info.
# The date is the commit's, so that one commit always makes the same binary.
VERSION    ?= $(or $(patsubst v%,%,$(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null)),0.0.0-dev)
REVISION   ?= $(or $(shell git describe --always --abbrev=40 --exclude='*' --dirty 2>/dev/null),unknown)
BRANCH     ?= $(or $(shell git symbolic-ref --short --quiet HEAD 2>/dev/null),unknown)
BUILD_DATE ?= $(or $(shell git log -1 --format=%cI 2>/dev/null),unknown)
BUILD_USER ?= make

# go-nvml leaves the symbols of NVIDIA's library unresolved until the library is opened,
# so they must be bound when first called: linkers that default to binding at start (-z now)
# would make a binary that does not start on a machine without a GPU driver.
LAZY  := -extldflags=-Wl,-z,lazy
STAMP  = -X github.com/prometheus/common/version.Version=$(VERSION) \
	-X github.com/prometheus/common/version.Revision=$(REVISION) \
	-X github.com/prometheus/common/version.Branch=$(BRANCH) \
	-X github.com/prometheus/common/version.BuildUser=$(BUILD_USER) \
	-X github.com/prometheus/common/version.BuildDate=$(BUILD_DATE)

# cgo serves NVML and the race detector. The stamp above replaces Go's own, which fails
# where git refuses to read another user's checkout.
# NVIDIA's header marks functions as deprecated that go-nvml wraps all the same: two hundred lines
# of warnings on a first build, about code that is not ours.
export CGO_ENABLED := 1
export CGO_CFLAGS  := $(or $(CGO_CFLAGS),-O2 -g) -Wno-deprecated-declarations
export GOFLAGS     := $(strip $(GOFLAGS) -buildvcs=false)
export GO TAGS

.PHONY: help build demo test lint generated rules test-unit test-dashboards e2e smoke browser screenshots docs image chart unit manifests release release-check bench soak footprint chaos fuzz fmt generate clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

build: ## build bin/llm_prober, its version stamped
	$(GO) build -trimpath -ldflags "$(STAMP) $(LAZY)" -o bin/llm_prober ./cmd/llm_prober

demo: build ## build, then probe a simulated LLM server and serve the status page
	bin/llm_prober demo $(DEMOFLAGS)

test: ## everything: lint, generated files current, alert rules and dashboards, unit tests with the race detector
	@$(MAKE) -k lint generated rules test-dashboards test-unit

lint: ## all static checks, each named and timed (tools/lint.sh)
	@tools/lint.sh

generated: ## fail unless `make generate` would change nothing
	@tools/generated.sh

rules: ## the alert rules with Prometheus' own tools, which are built first (tools/rules.sh)
	@tools/rules.sh

test-dashboards: ## every dashboard expression, metric, label, link and position; the tools' own tests
	$(GO) -C dashboards/internal/generate test ./...
	$(GO) -C tools test ./sbom ./docs ./dependencies

e2e: ## the whole chain: prober, a real Prometheus, a real Alertmanager, a webhook (tools/e2e.sh)
	@tools/e2e.sh

test-unit: ## unit tests with the race detector (PKG=./prober/... TESTFLAGS=-v)
	$(GO) test -race -timeout 20m -ldflags "$(LAZY)" $(TESTFLAGS) $(PKG)

smoke: build ## run the built binary's demo and read its numbers back
	@$(GO) test -tags $(TAGS) -list '^TestDemo' ./cmd/llm_prober | grep '^TestDemo' >/dev/null || \
		{ echo "make smoke: ./cmd/llm_prober has no TestDemo under the build tag $(TAGS)" >&2; exit 1; }
	LLM_PROBER_BINARY="$(CURDIR)/bin/llm_prober" \
		$(GO) test -count=1 -timeout 4m -tags $(TAGS) -ldflags "$(LAZY)" -run '^TestDemo' $(TESTFLAGS) ./cmd/llm_prober

browser: build ## the pages of the built binary in headless Chromium: live updates, ramps by hand, axe-core (tools/browser.sh)
	@tools/browser.sh

screenshots: build ## docs/images anew, from the demo
	@tools/browser.sh screenshots

docs: build ## follow README and docs as written, commands and output (PAGES='docs/api.md README.md')
	$(GO) -C tools run ./docs -root '$(CURDIR)' $(if $(wildcard bin/rules/promtool),-promtool '$(CURDIR)/bin/rules/promtool') $(PAGES)

image: ## the root file system that the Dockerfile describes, made and run without a registry (tools/image.sh)
	@tools/image.sh

chart: ## the Helm chart: lint, templates, types, and that it is what deploy/kubernetes has
	$(GO) -C tools/helm test -count=1 .

unit: ## the systemd unit, verified offline
	@tools/systemd.sh

manifests: ## deploy/kubernetes from the chart
	@tools/manifests.sh

release: ## archives, checksums and SBOMs of all platforms in dist/
	@tools/release.sh

release-check: ## clone, follow README and docs, try the release, with nothing of this machine's home or caches (SKIP='make test')
	@tools/release-check.sh

bench: ## benchmarks into bin/bench.txt, then the accuracy matrix; BASE=old.txt compares (BENCH=, BENCHTIME=, COUNT=, PKG=, ACCURACY=)
	@mkdir -p bin
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) -count $(COUNT) -ldflags "$(LAZY)" $(PKG) | tee bin/bench.txt
	$(if $(BASE),$(GO) tool -modfile=tools/go.mod benchstat $(BASE) bin/bench.txt)
	$(GO) run ./bench/accuracy $(ACCURACY)

soak: build ## the demo's mix at 50 times its rate, and whether anything grew (SOAKFLAGS='--duration=1h', bench/soak)
	$(GO) run ./bench/soak --binary=bin/llm_prober $(SOAKFLAGS)

footprint: build ## processor, memory, scrape and start of one target and of a hundred (FOOTPRINTFLAGS=, bench/footprint)
	$(GO) run ./bench/footprint --binary=bin/llm_prober $(FOOTPRINTFLAGS)

chaos: ## everything goes wrong at once around a real prober, three minutes in all; CHAOS=30m for longer (tools/chaos.sh)
	@tools/chaos.sh $(CHAOS)

fuzz: ## each fuzz target for FUZZTIME (10s), or all in FUZZBUDGET seconds; FUZZ=REGEXP selects (tools/fuzz.sh)
	@FUZZTIME=$(FUZZTIME) FUZZBUDGET=$(FUZZBUDGET) FUZZ='$(FUZZ)' tools/fuzz.sh

fmt: ## format, and rewrite what newer Go says better
	"$$($(GO) env GOROOT)/bin/gofmt" -w .
	$(GO) fix -tags $(TAGS) ./...

generate: ## write all generated files anew
	$(GO) generate ./...

clean: ## remove what the targets built
	rm -rf bin dist

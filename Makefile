.PHONY: run build test bench lint format tsan fuzz clean help

help: ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 14

run: ## Build, start a server with examples on 127.0.0.1:8443 (PORT=n for another), show what it handed out
	@docker/run.sh

build: ## Build everything, optimised
	@docker/deps.sh
	swift build -c release

test: ## Run every test
	@docker/deps.sh --tests
	swift build --build-tests
	swift test --skip-build

bench: ## Measure everything beside its yardstick and write the benchmark document's tables (QUICK=1: a quick look)
	@Tests/Benchmarks/bench.sh $(if $(QUICK),--quick)

lint: ## Check the format, and that each part imports no more than it may know
	swift format lint --strict --recursive --parallel Package.swift Sources Tests
	Tests/lint.sh

format: ## Put everything in the common format
	swift format --in-place --recursive --parallel Package.swift Sources Tests

tsan: ## Run the tests of everything that threads share under ThreadSanitizer
	TSAN_OPTIONS=suppressions=$(CURDIR)/Tests/tsan.suppressions \
	swift test --sanitize=thread --scratch-path .build-tsan --filter 'AllocationTests|IPAMTests|LedgerTests|OpenSSLTLSTests'

fuzz: ## Feed everything that reads strangers' bytes for SECONDS (60) each; TARGETS="json lines" for some of them
	@SECONDS_EACH=$(if $(SECONDS),$(SECONDS),60) Tests/Fuzz/fuzz.sh

clean: ## Remove what was built
	rm -rf .build .build-*

.PHONY: run build cni test image-test bench lint format tsan docs man clean help

help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 14

run: ## Build, start a server with examples on 127.0.0.1:8443 (PORT=n for another), show what it handed out
	@docker/run.sh

build: ## Build everything, optimised
	@docker/deps.sh
	swift build -c release

cni: ## Build tandem-cni for /opt/cni/bin, statically linked: .build-static/release/tandem-cni
	@docker/deps.sh
	swift build -c release --static-swift-stdlib --scratch-path .build-static --product tandem-cni
	Tests/links.sh .build-static/release/tandem-cni --static

test: ## Run every test
	@docker/deps.sh --tests
	swift build --build-tests
	swift test --skip-build

image-test: ## Build the images of docker/Dockerfile with buildah, and run them with podman (root; some minutes)
	Tests/Container/image.sh

docs: ## Build the documentation, without a warning, into .build/docs
	swift package --allow-writing-to-directory .build/docs generate-documentation --target TandemServer \
		--warnings-as-errors --output-path .build/docs

man: ## Write the manual pages of the programs and their shell completions into .build/man and .build/completions
	swift build -c release
	docker/man.py .build/release .build/man .build/completions

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

clean: ## Remove what was built
	rm -rf .build .build-*

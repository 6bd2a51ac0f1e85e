# createkey: build, try and test. Everything needs Go and make; what needs more
# says so, and installs it under .build/ (never into the system).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BUILD := .build

# SAM does not tell make the architecture: this is the template's default. The
# function runs on Linux whatever the machine that builds it.
GOOS ?= linux
GOARCH ?= arm64

# The tag or the commit, which every log line says; nothing where git is missing.
# What `sam deploy` keeps in samconfig.toml changes nothing of it.
VERSION ?= $(shell version=$$(git describe --tags --always 2>/dev/null) && \
	if git diff --quiet HEAD -- . ':!samconfig.toml'; then echo "$$version"; else echo "$$version-dirty"; fi)

# Without Go's own stamp of git's state: making it fails in a checkout that
# belongs to somebody else.
GO_BUILD = CGO_ENABLED=0 go build -buildvcs=false -tags lambda.norpc -trimpath -ldflags "-s -w -X main.version=$(VERSION)"

# The race detector needs a C compiler on Linux.
RACE := $(shell command -v "$$(go env CC)" >/dev/null 2>&1 && echo -race)
# A program under the race detector sleeps for a second before it exits, for
# threads that may still report a race: 25 test binaries and every executable
# that they start. https://go.dev/doc/articles/race_detector
export GORACE ?= atexit_sleep_ms=10

# renovate: datasource=go depName=github.com/golangci/golangci-lint/v2
GOLANGCI_LINT_VERSION := v2.15.0
# renovate: datasource=go depName=golang.org/x/vuln
GOVULNCHECK_VERSION := v1.9.0
# renovate: datasource=go depName=github.com/go-gremlins/gremlins
GREMLINS_VERSION := v0.6.0
BENCHSTAT_VERSION := v0.0.0-20260908200009-22c9c6c9d4da
GREMLINS := $(BUILD)/bin/gremlins-$(GREMLINS_VERSION)
BENCHSTAT := $(BUILD)/bin/benchstat-$(BENCHSTAT_VERSION)
GOLANGCI_LINT := $(BUILD)/bin/golangci-lint-$(GOLANGCI_LINT_VERSION)
GOVULNCHECK := $(BUILD)/bin/govulncheck-$(GOVULNCHECK_VERSION)

# Python tools, each in a virtual environment of its own.
# renovate: datasource=pypi depName=aws-sam-cli
SAM := $(BUILD)/sam-1.170.0
# renovate: datasource=pypi depName=checkov
CHECKOV := $(BUILD)/checkov-3.3.30
# renovate: datasource=pypi depName=ministack
MINISTACK := $(BUILD)/ministack-1.5.33
# renovate: datasource=pypi depName=awscli
AWS_CLI := $(BUILD)/awscli-1.46.3
# renovate: datasource=pypi depName=boto3
BOTO3 := $(BUILD)/boto3-1.44.5

# SAM's tests: with its own Python, and leaving nothing in the tree.
SAMTEST := PYTHONDONTWRITEBYTECODE=1 SAM_CLI_TELEMETRY=0 $(abspath $(SAM))/bin/python
PYTEST := $(SAMTEST) -m pytest -p no:cacheprovider -ra --durations=10

##@ Try it

.PHONY: run
run: local-runner ## Play every sample in events/ and the life of a key, or EVENT=file, in a local Lambda against a local AWS
	@$(BUILD)/local/local run -bootstrap $(BUILD)/local/bootstrap $(if $(EVENT),-event "$(EVENT)")

.PHONY: serve
serve: local-runner ## Keep both up for the AWS CLI until Ctrl-C (HOST=127.0.0.1)
	@exec $(BUILD)/local/local serve -bootstrap $(BUILD)/local/bootstrap $(if $(HOST),-host "$(HOST)")

.PHONY: local-stack
local-stack: $(SAM)/installed $(MINISTACK)/installed $(AWS_CLI)/installed ## Deploy the whole application to a local AWS and keep it up (PORT=4566; Python)
	@MINISTACK=$(abspath $(MINISTACK))/bin/ministack AWS_CLI=$(abspath $(AWS_CLI))/bin $(SAMTEST) internal/test/template/stack.py up

.PHONY: local-stack-down
local-stack-down: $(SAM)/installed ## End it
	@$(SAMTEST) internal/test/template/stack.py down

##@ Send requests

.PHONY: skeleton
skeleton: local-tool ## Print a request to fill in: the CLI's skeleton and usagePlanIds, in JSON or with FORMAT=yaml; KIND=end or rotation
	@$(BUILD)/local/local skeleton $(if $(KIND),-kind "$(KIND)") $(if $(FORMAT),-format "$(FORMAT)")

.PHONY: validate
validate: local-tool ## Tell what the function will make of FILE, a request or a payload or many (.csv, .jsonl), KIND=sign-up, end or rotation; sends nothing
	@$(BUILD)/local/local validate $(if $(KIND),-kind "$(KIND)") -file "$(FILE)"

.PHONY: send
send: local-tool ## Send FILE, one request or many, KIND=sign-up, end or rotation, to QUEUE_URL or EVENT_BUS (EVENT_SOURCE=onboarding); CONFIRM=yes sends
	@$(BUILD)/local/local send $(if $(KIND),-kind "$(KIND)") -file "$(FILE)" -queue-url "$(QUEUE_URL)" -event-bus "$(EVENT_BUS)" \
		$(if $(EVENT_SOURCE),-source "$(EVENT_SOURCE)") $(if $(filter yes,$(CONFIRM)),-confirm)

##@ Operate it

.PHONY: audit
audit: operator-tool ## Look for keys and records of SECRET_PREFIX that are not as they should be, with your own credentials; writes nothing (FORMAT=json)
	@$(BUILD)/local/operate audit $(if $(FORMAT),-format "$(FORMAT)")

.PHONY: adopt
adopt: operator-tool ## Give the keys of FILE (id,customerId,name as CSV), made by hand, a record under SECRET_PREFIX; CONFIRM=yes writes
	@$(BUILD)/local/operate adopt -file "$(FILE)" $(if $(filter yes,$(CONFIRM)),-confirm)

##@ Test it

.PHONY: test
test: ## Every promise of the contract: needs only Go, one to two minutes
	$(if $(RACE),,@echo "No C compiler found: testing without the race detector.")
	go test $(RACE) -short -shuffle=on ./...
	go test ./internal/test/explore ./internal/test/awslocal ./internal/document ./internal/function ./internal/cmd/local ./events/schema
	go -C internal/cmd/bench test ./...
	go test -run '^TestSimulation' ./internal/test/simulation -simulate.seeds 500

.PHONY: test-template
test-template: $(SAM)/installed $(CHECKOV)/installed ## The SAM template: cfn-lint, checkov, every promise, and a role that allows what was seen to be called (Python)
	go test -count=1 -run '^TestExecutable$$' ./internal/test/executable -executable.record $(abspath $(BUILD))/executable
	CREATEKEY_EXECUTABLE=$(abspath $(BUILD))/executable CHECKOV=$(abspath $(CHECKOV))/bin/checkov $(PYTEST) internal/test/template/test_template.py internal/test/template/test_docs.py internal/test/template/test_pages.py internal/test/template/test_release.py

.PHONY: test-sam
test-sam: local-runner $(SAM)/installed $(AWS_CLI)/installed ## sam local invoke of every sample and start-lambda, in Docker (installs it as root) against the local AWS (Python)
	AWS_CLI=$(abspath $(AWS_CLI))/bin $(PYTEST) -s -v internal/test/template/test_sam.py

.PHONY: test-stack
test-stack: $(SAM)/installed $(MINISTACK)/installed $(AWS_CLI)/installed ## Deploy the template with SAM to a local AWS that enforces IAM, use it as its users do, and run the runbook (Python)
	MINISTACK=$(abspath $(MINISTACK))/bin/ministack AWS_CLI=$(abspath $(AWS_CLI))/bin $(PYTEST) internal/test/template/test_operations.py internal/test/template/test_stack.py

.PHONY: test-aws
test-aws: ## The conformance suite on a real account; without CREATEKEY_TEST_AWS a dry run that says what it would do
	go test -count=1 -timeout 1h -run '^TestAWS$$' -v ./internal/test/conformance

.PHONY: simulate
simulate: ## SEEDS=100000 simulated histories of the real handler, a burst of 10,000 sign-ups, eight executables that get the same thousand messages; needs only Go
	go test -count=1 -timeout 6h -run '^TestSimulation$$' -v ./internal/test/simulation -simulate.seeds $(or $(SEEDS),100000) -simulate.progress
	go test -count=1 -run '^TestPace_' -v ./internal/function -burst 10000
	go test -count=1 -run '^TestExecutable$$/^EndsAs' -v ./internal/test/executable -executable.crowd

.PHONY: explore
explore: ## Every interleaving of three deliveries of the algorithm that ships, some of four, within wider bounds than `make test`; some minutes, 4 GB
	go test -count=1 -timeout 2h -run '^TestExplore$$' -v ./internal/test/explore -explore.wide

.PHONY: test-mistakes
test-mistakes: ## Make each deliberate mistake in a copy of the algorithm, and see the explorer find it
	go test -count=1 -timeout 1h -run '^TestMistakes$$' -v ./internal/test/explore -explore.mistakes

.PHONY: mutate
mutate: $(GREMLINS) ## Mutation tests of the algorithm, the identity, the validator and the decoders (gremlins); BUDGET=120 takes some files in so many seconds
	@internal/test/mutate.sh $(GREMLINS) $(BUDGET)

.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME=1m each, two at a time, beyond the seeds that `make test` runs
	@grep -roE --include='*_test.go' '^func Fuzz[A-Za-z]+' internal functions events | sed -E 's|/[^/]*:func | |' | sort | \
		xargs -L 1 -P 2 sh -c 'go test "./$$0" -run "^$$" -fuzz "^$$1$$" -fuzztime $(or $(FUZZTIME),1m) -parallel 1'

.PHONY: test-long
test-long: explore test-mistakes mutate fuzz simulate ## What a change need not wait for: the last five, one after the other; about two hours

.PHONY: schemas
schemas: ## Write events/schema/template.yaml, the schema registry, anew from the JSON Schemas beside it
	go test -count=1 -run '^TestTemplateIsUpToDate$$' ./events/schema -update

.PHONY: check
check: $(GOLANGCI_LINT) $(GOVULNCHECK) ## gofmt, vet, golangci-lint, govulncheck, go mod tidy; rewrites nothing
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not gofmt'ed: $$unformatted"; exit 1; }
	go mod tidy -diff
	go -C internal/cmd/bench mod tidy -diff
	go vet ./...
	go -C internal/cmd/bench vet ./...
	$(GOLANGCI_LINT) run
	@if curl -sSfo /dev/null --max-time 10 https://vuln.go.dev/index/db.json 2>/dev/null; then \
		$(GOVULNCHECK) ./...; \
	else echo "govulncheck: its data (vuln.go.dev) cannot be reached from here: NOT checked for known vulnerabilities"; fi

.PHONY: bench
bench: local-bootstrap $(BOTO3)/installed $(AWS_CLI)/installed $(BENCHSTAT) ## Speed, cost and scale beside a bare SDK handler, boto3 and the AWS CLI; writes docs/benchmarks.md (Python, root for cgroups)
	@go -C internal/cmd/bench build -buildvcs=false -o $(abspath $(BUILD))/local/bench .
	@$(BUILD)/local/bench -bootstrap $(BUILD)/local/bootstrap -boto3 $(BOTO3) -aws $(AWS_CLI)/bin/aws -benchstat $(BENCHSTAT)

.PHONY: profile
profile: local-bootstrap ## CPU and allocation profiles of a new key and of the start, for `go tool pprof`, in .build/profile
	@mkdir -p $(BUILD)/profile
	go test -count=1 -run '^$$' -bench '^BenchmarkNewKey$$' -benchtime 20000x -o $(BUILD)/profile/warm.test \
		-cpuprofile $(BUILD)/profile/warm.cpu -memprofile $(BUILD)/profile/warm.allocs ./internal/function
	go test -count=1 -run '^$$' -bench '^BenchmarkStart$$' -benchtime 2000x -o $(BUILD)/profile/start.test \
		-cpuprofile $(BUILD)/profile/start.cpu -memprofile $(BUILD)/profile/start.allocs -memprofilerate 512 ./functions/createkey
	@echo; echo "Our own functions in a new key (the rest is the SDK, net/http and the local AWS):"
	@go tool pprof -top -cum -nodecount 25 -show '^createkey/(functions|internal/(apikey|document|envelope|function|pace|provision))' \
		$(BUILD)/profile/warm.cpu 2>/dev/null | tail -n +5
	@echo; echo "Packages whose initialisation takes longest (GODEBUG=inittrace=1):"
	@{ env -i GODEBUG=inittrace=1 $(BUILD)/local/bootstrap 2>&1 || true; } | awk '$$1 == "init" {print $$5 " ms, " $$8 " bytes: " $$2}' | sort -rn | head
	@echo; echo "For more: go tool pprof -http=: $(BUILD)/profile/warm.cpu (or warm.allocs, start.cpu, start.allocs)"

##@ Build it

# SAM's makefile contract: build-LogicalId writes ARTIFACTS_DIR/bootstrap.
.PHONY: build-CreateKeyFunction
build-CreateKeyFunction: ## Write ARTIFACTS_DIR/bootstrap as SAM wants it (GOARCH=arm64 or amd64)
	@test -n "$(ARTIFACTS_DIR)" || { echo "ARTIFACTS_DIR must name the folder to write bootstrap to"; exit 2; }
	GOOS=$(GOOS) GOARCH=$(GOARCH) $(GO_BUILD) -o "$(ARTIFACTS_DIR)/bootstrap" ./functions/createkey

.PHONY: release
release: ## Tag VERSION=v1.2.3 with what CHANGELOG.md says is unreleased, and build both executables; pushes nothing
	@[[ "$(VERSION)" =~ ^v[0-9]+\.[0-9]+\.[0-9]+$$ ]] || { echo "VERSION must be like v1.2.3"; exit 2; }
	@test -z "$$(git status --porcelain)" || { echo "The tree must be clean: commit first"; exit 2; }
	@! git rev-parse -q --verify "refs/tags/$(VERSION)" >/dev/null || { echo "$(VERSION) exists already"; exit 2; }
	@awk '/^## /{here = $$2 == "Unreleased"} here && /^- /{found = 1} END{exit !found}' CHANGELOG.md || \
		{ echo "CHANGELOG.md says nothing under Unreleased"; exit 2; }
	@changelog=$$(awk -v heading="## $(VERSION:v%=%) - $$(date -u +%F)" \
		'{print} /^## Unreleased$$/{print "\n" heading}' CHANGELOG.md) && printf '%s\n' "$$changelog" >CHANGELOG.md
	git commit -qm "Release $(VERSION)" CHANGELOG.md
	git tag -am "$(VERSION)" "$(VERSION)"
	@for goarch in arm64 amd64; do $(MAKE) --no-print-directory build-CreateKeyFunction \
		GOARCH=$$goarch ARTIFACTS_DIR=$(BUILD)/release/$$goarch; done
	@cd $(BUILD)/release && { command -v sha256sum >/dev/null && sha256sum */bootstrap || shasum -a 256 */bootstrap; } | tee SHA256SUMS
	@echo "Once CI has passed on it: git push origin HEAD $(VERSION)"

.PHONY: local-bootstrap
local-bootstrap:
	@$(MAKE) --no-print-directory -s build-CreateKeyFunction ARTIFACTS_DIR=$(BUILD)/local \
		GOOS=$$(go env GOHOSTOS) GOARCH=$$(go env GOHOSTARCH)

.PHONY: local-runner
local-runner: local-bootstrap local-tool

.PHONY: local-tool
local-tool:
	@go build -buildvcs=false -o $(BUILD)/local/local ./internal/cmd/local

.PHONY: operator-tool
operator-tool:
	@go build -buildvcs=false -o $(BUILD)/local/operate ./internal/cmd/operate

.PHONY: clean
clean: ## Remove what was built
	rm -rf $(BUILD)

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-zA-Z-]+:.*## / {printf "  make %-24s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(GOLANGCI_LINT):
	GOBIN=$(abspath $(BUILD)/bin/tmp) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(BUILD)/bin/tmp/golangci-lint $@

$(GOVULNCHECK):
	GOBIN=$(abspath $(BUILD)/bin/tmp) go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	mv $(BUILD)/bin/tmp/govulncheck $@

$(GREMLINS):
	GOBIN=$(abspath $(BUILD)/bin/tmp) go install github.com/go-gremlins/gremlins/cmd/gremlins@$(GREMLINS_VERSION)
	mv $(BUILD)/bin/tmp/gremlins $@

$(BENCHSTAT):
	GOBIN=$(abspath $(BUILD)/bin/tmp) go install golang.org/x/perf/cmd/benchstat@$(BENCHSTAT_VERSION)
	mv $(BUILD)/bin/tmp/benchstat $@

# install-python,VENV,PACKAGES
define install-python
	python3 -m venv $(1)
	$(1)/bin/pip install --quiet --disable-pip-version-check $(2)
	touch $(1)/installed
endef

$(SAM)/installed: internal/test/template/requirements.txt
	$(call install-python,$(SAM),'aws-sam-cli==$(SAM:$(BUILD)/sam-%=%)' -r internal/test/template/requirements.txt)

$(CHECKOV)/installed:
	$(call install-python,$(CHECKOV),'checkov==$(CHECKOV:$(BUILD)/checkov-%=%)')

# The transform of the version that the SAM CLI has, too.
$(MINISTACK)/installed:
	$(call install-python,$(MINISTACK),'ministack==$(MINISTACK:$(BUILD)/ministack-%=%)' aws-sam-translator==1.115.0)

$(BOTO3)/installed:
	$(call install-python,$(BOTO3),'boto3==$(BOTO3:$(BUILD)/boto3-%=%)')

$(AWS_CLI)/installed:
	$(call install-python,$(AWS_CLI),'awscli==$(AWS_CLI:$(BUILD)/awscli-%=%)')

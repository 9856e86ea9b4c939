# Needs Go and make, and bash for what is built from temporal/; everything else is
# built into .bin/, from tools/.
#
#	make test-quick   all tests but those that need a server or a browser, in a minute
#	make test         all tests of all modules
#	make check        what a change must pass beyond them (see .ci/run for all of it)
#	make help         the rest

# Every module of the repository but the tools, and the engines that temporal/ is
# tested with (1,400 packages) and journal/ is measured beside, whose requirements no
# go.work could join; the root first.
MODULES := $(sort $(patsubst %/go.mod,%,$(shell find . -name go.mod \
	-not -path '*/.*' -not -path './tools/*' -not -path '*/testdata/*' -not -path '*/engines/*')))
BIN := .bin
ALL := $(MODULES:%=%/...) # through go.work
FUZZTIME ?= 5s
COVERAGE_MIN ?= 99.9

# $(call each,command) runs a command in every module and stops at the first that fails.
each = @for module in $(MODULES); do \
		echo "--- $$module: $(strip $(1))"; \
		(cd $$module && $(1)) || { echo "failed in $$module: $(strip $(1))" >&2; exit 1; }; \
	done

# $(call quick,packages) are those without the tests against a real Temporal server,
# which wait for other processes for minutes: make test runs them, once.
quick = $$(go list $(1) | grep -v /servertest$$)

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 17

##### Tests

# What takes longest begins first, by turns what computes and what waits for others: one
# more side by side than there are processors.
LONGEST := ./temporal/internal/servertest ./internal/proof ./journal ./examples/stack ./inspect
SIDE_BY_SIDE = $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.PHONY: test
test: prepare ## all tests of all modules
	go test -vet=off -timeout 30m -p $(SIDE_BY_SIDE) $(LONGEST) $(ALL) # make vet looks, and make lint

.PHONY: test-quick
test-quick: ## the same without those that need a server or a browser; the longest take samples
	go test -vet=off -short $(call quick,$(ALL))

# No test builds or installs anything: on a busy machine it would be over its limit.
.PHONY: prepare
prepare: ## what make test needs: a Temporal server is built, and Chromium installed, if they are not there
	@$(MAKE) --no-print-directory -C inspect browser
	@$(MAKE) --no-print-directory -C temporal server

# Again those first that take longest.
RACE_FIRST := . ./examples ./journal

.PHONY: race
race: ## the same with the race detector, in random order, each module by itself
	TESTFLAGS='$(TESTFLAGS)' SIDE_BY_SIDE=$(SIDE_BY_SIDE) .ci/race $(RACE_FIRST) $(filter-out $(RACE_FIRST),$(MODULES))

# The tests with 32 bits run on Linux and Windows on x86.
COMPILE = go list -export -f '' # and link nothing
.PHONY: portable
portable: ## short tests of the root module with 32 bits; all modules built for other systems
	GOARCH=386 GOWORK=off go test -vet=off -short -timeout 30m ./...
	GOOS=windows GOARCH=amd64 $(COMPILE) $(ALL)
	GOOS=darwin GOARCH=arm64 $(COMPILE) $(ALL)

.PHONY: fuzz
fuzz: ## every fuzz target, FUZZTIME (5s) each
	FUZZTIME=$(FUZZTIME) .ci/fuzz

.PHONY: cover
cover: $(BIN)/coverage ## statement coverage of the root package, and the reason of each line left out
	@mkdir -p .cache
	GOWORK=off go test -vet=off -short -timeout 30m -coverpkg=. -coverprofile=.cache/cover.out . ./internal/conformance ./internal/proof
	$(BIN)/coverage -min $(COVERAGE_MIN) .cache/cover.out

.PHONY: example
example: ## the README's example, up and down
	.ci/example

.PHONY: bench
bench: ## benchmarks of the root module, ten times, for benchstat
	@mkdir -p .cache
	go test -run '^$$' -bench . -benchmem -count 10 ./... | tee .cache/bench.txt

.PHONY: figures
figures: ## measure every table of figures: written into README.md and docs/performance.md, printed for the other pages (an hour, on an idle machine)
	go run ./benchmarks/cmd/report -write .
	go test ./docs/cookbook -v -count 1 -run '^TestWatching' -watching # docs/watching.md
	$(MAKE) --no-print-directory -C journal report # docs/durability.md
	$(MAKE) --no-print-directory -C temporal throughput # docs/temporal.md

.PHONY: limits
limits: ## the ratios that the library promises, with twice the room, since machines are noisy
	go run -C benchmarks ./cmd/report -check -quick

##### Checks

.PHONY: check
check: fmt-check vet lint deps tidy-check readme-check actionlint ## every check that runs no test

.PHONY: fmt
fmt: $(BIN)/gofumpt ## format all Go files
	$(BIN)/gofumpt -w .

.PHONY: fmt-check
fmt-check: $(BIN)/gofumpt
	@files=$$($(BIN)/gofumpt -l .) && if [ -n "$$files" ]; then echo "not formatted (make fmt):"; echo "$$files"; exit 1; fi

.PHONY: vet
vet:
	go vet $(ALL)

.PHONY: staticcheck
staticcheck: $(BIN)/staticcheck ## staticcheck by itself; golangci-lint runs the same version of it
	$(BIN)/staticcheck $(ALL)

.PHONY: lint
lint: $(BIN)/golangci-lint ## golangci-lint, see .golangci.yml
	$(BIN)/golangci-lint run $(ALL)

# The root module's packages link the standard library only, and never the package
# testing; internal/misuse, which only tests use, is no part of any of them.
.PHONY: deps
deps: ## what the root module links
	@other=$$(GOWORK=off go list -deps -f '{{if or (eq .ImportPath "testing") (and (not .Standard) .Module (not .Module.Main))}}{{.ImportPath}}{{end}}' $$(GOWORK=off go list ./... | grep -v /internal/misuse$$)) && \
	if [ -n "$$other" ]; then echo "the root module links:"; echo "$$other"; exit 1; fi

.PHONY: tidy
tidy: ## go mod tidy in every module
	$(call each,GOWORK=off go mod tidy)

.PHONY: tidy-check
tidy-check:
	$(call each,GOWORK=off go mod tidy -diff)

# Every page that quotes code.
PAGES = $(shell grep -rl --include='*.md' --exclude-dir='.?*' '^\[embedmd\]' .)

.PHONY: readme
readme: $(BIN)/embedmd ## write the code that README.md and the pages of docs/ quote into them
	$(BIN)/embedmd -w $(PAGES)

.PHONY: readme-check
readme-check: $(BIN)/embedmd
	$(BIN)/embedmd -d $(PAGES)

.PHONY: actionlint
actionlint: $(BIN)/actionlint
	$(BIN)/actionlint -shellcheck= -pyflakes=

.PHONY: vulnerabilities
vulnerabilities: $(BIN)/govulncheck ## known vulnerabilities in what the modules use (asks a database on the network)
	$(call each,"$$OLDPWD"/$(BIN)/govulncheck ./...)

##### Releases

# apidiff exits 0 whatever it finds, so what it prints decides.
.PHONY: apidiff
apidiff: $(BIN)/apidiff ## incompatible changes of the public API since the last tag
	@.ci/apidiff

.PHONY: mutation
mutation: $(BIN)/mutate ## small changes of the root package that no test notices (Linux; a quarter of an hour on two processors), or of FILES=regexp
	$(BIN)/mutate -equivalent tools/mutate/equivalent.txt -files '$(FILES)' . ./internal/conformance ./internal/proof

##### Tools

.PHONY: tools
tools: $(BIN)/golangci-lint ## all pinned tools, into .bin/
	GOWORK=off go build -C tools -o ../$(BIN)/ tool ./coverage ./mutate

$(BIN)/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	GOWORK=off go build -C tools/lint -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(BIN)/coverage: tools/coverage/main.go tools/go.mod tools/go.sum
	GOWORK=off go build -C tools -o ../$@ ./coverage

$(BIN)/mutate: $(wildcard tools/mutate/*.go tools/mutate/active/*.go) tools/go.mod tools/go.sum
	GOWORK=off go build -C tools -o ../$@ ./mutate

$(BIN)/%: tools/go.mod tools/go.sum
	cd tools && export GOWORK=off && go build -o ../$@ $$(go list tool | grep '/$*$$')

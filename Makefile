# The everyday commands. Each target is one thing a person wants; the work itself is done by cargo,
# by the scripts in scripts/ and by `cargo xtask`.

PREFIX   ?= /usr/local
PROGRAMS := mydocker-runtime mydocker-img mydocker-monitor mydocker
BINARIES := $(PROGRAMS:%=bin/%)

# An explicit target (.cargo/config.toml) puts what cargo builds under the name of the host.
HOST     := $(shell rustc --print host-tuple 2>/dev/null)
RELEASE  := $(or $(CARGO_TARGET_DIR),target)/$(HOST)/release

# What a target lists is done in that order; cargo brings the parallelism.
.NOTPARALLEL:
.PHONY: all demo test test-host test-vm bench bench-runtime bench-systemd bench-mydocker bench-images install fmt lint clean prerequisites FORCE

## make: the programs, each one static binary in bin/
all: $(BINARIES)

# cargo knows better than make whether a program is up to date, so it is always asked.
bin/%: prerequisites FORCE
	cargo build --release --locked --package $*
	scripts/check-static.sh $(RELEASE)/$*
	install -D -m 0755 $(RELEASE)/$* $@

## make demo: a first container, over the host's own root
demo: dependencies-demo all
	scripts/demo.sh

## make test: everything that has to hold, with the real programs around the runtime, here and in a virtual machine
test: test-host test-vm

# On this machine, whose cgroups may be of v1 and v2 side by side.
test-host: dependencies-test all
	cargo xtask tidy
	cargo nextest run --workspace --locked

## make test-vm: what cgroups and systemd make a difference to, in a machine with cgroup v2 alone and systemd as process 1
test-vm: dependencies-vm all
	cargo xtask vm test

## make bench: all three programs and their peers side by side, one group after the other
bench: bench-runtime bench-mydocker bench-images

BENCH = cargo run --release --locked --package mydocker-benches --

## make bench-runtime: the runtime, crun and runc
bench-runtime: dependencies-bench all
	$(BENCH)

## make bench-systemd: the runtimes with cgroups that systemd makes, in the virtual machine
HELPERS = $(CURDIR)/target/bench-systemd
bench-systemd: dependencies-bench dependencies-vm all
	cargo build --release --locked --package mydocker-benches
	install -D -t $(HELPERS) $(RELEASE)/bench
	for helper in floor peak; do cc -O2 -static -o $(HELPERS)/$$helper benches/floor/$$helper.c || exit; done
	cargo xtask vm run --timeout 1800 --with $(HELPERS) --with $(CURDIR)/bin -- env MYDOCKER_RUNTIME=$(CURDIR)/bin/mydocker-runtime \
		$(HELPERS)/bench --systemd-cgroup --iterations 20 --no-write > $(HELPERS)/report.md
	cat $(HELPERS)/report.md
# The machine's console has what was said meanwhile as well.
	sed -n '/^# /,$$p' $(HELPERS)/report.md > docs/benchmarks-systemd.md

## make bench-mydocker: the command for people, podman and docker
bench-mydocker: dependencies-bench all
	$(BENCH) --mydocker --iterations 20

## make bench-images: the image tool, podman, containerd, skopeo and umoci
bench-images: dependencies-bench all
	$(BENCH) --images --huge --iterations 5

## make install PREFIX=/usr/local: programs, manual pages and completions to PREFIX (DESTDIR is honoured)
SHARE     = $(DESTDIR)$(PREFIX)/share
COMPLETED = bash-completion/completions/mydocker fish/vendor_completions.d/mydocker.fish zsh/site-functions/_mydocker
install: all
	install -d "$(DESTDIR)$(PREFIX)/bin" $(foreach file,$(COMPLETED),"$(SHARE)/$(dir $(file))")
	install -m 0755 $(BINARIES) "$(DESTDIR)$(PREFIX)/bin"
	bin/mydocker man "$(SHARE)/man/man1"
	bin/mydocker completion bash > "$(SHARE)/bash-completion/completions/mydocker"
	bin/mydocker completion fish > "$(SHARE)/fish/vendor_completions.d/mydocker.fish"
	bin/mydocker completion zsh > "$(SHARE)/zsh/site-functions/_mydocker"

## make fmt, make lint: what CI asks of the code's form
fmt:
	cargo fmt --all

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

## make clean: all that was built or cached here
clean:
	cargo clean
	rm -rf bin .cache

DEPENDENCIES := dependencies-demo dependencies-test dependencies-vm dependencies-bench
.PHONY: $(DEPENDENCIES)
$(DEPENDENCIES): dependencies-%:
	scripts/install-deps.sh build $*

prerequisites:
	@scripts/check-prerequisites.sh

# The one entry point. `make help` lists what it can do; every step is a script in Scripts/ or a call of swift.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# `swift test` would build everything once more with flags of its own: so tests are built by `swift build`, and all
# targets here share one build.
configuration := release
vmm := .build/$(configuration)/apus-vmm
sources := Package.swift $(shell find Sources -type f 2>/dev/null)

# What `make run` gives the machine; each may be set on the command line, as in `make run MEMORY=1024 VCPUS=4`.
MEMORY ?= 512
VCPUS ?= 2
APPEND ?= console=ttyS0
OPTIONS ?=

# What `make bench` reads.
export ROUNDS ONLY CPU OPTIONS

.PHONY: help run test bench bench-daemon bench-images bench-network fuzz stress lint format build guest install-deps clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Boot a Debian kernel to a shell in this terminal (MEMORY=, VCPUS=, APPEND=, OPTIONS=)
	@Scripts/install-deps build guest
	@$(MAKE) -s --no-print-directory $(vmm) guest/initramfs.cpio.gz
	@Scripts/run-guest $(vmm) -m $(MEMORY) -smp $(VCPUS) -append "$(APPEND)" $(OPTIONS)

test: ## Install what tests need, build, and run every test
	@Scripts/install-deps build guest test
	@$(MAKE) -s --no-print-directory guest/initramfs.cpio.gz || echo "No guest: tests that boot one are skipped."
	@$(MAKE) -s --no-print-directory guest/stock/initramfs.cpio.gz || echo "No stock kernel: tests of its drivers are skipped."
	@$(MAKE) -s --no-print-directory guest/secure.img || echo "No signed disk: tests of Secure Boot are skipped."
	@$(MAKE) -s --no-print-directory guest/debian.raw || echo "No Debian disk: tests that boot it are skipped."
	@echo "Building Apus and its tests ($(configuration))"
	@swift build -c $(configuration) --build-tests
	@echo "Running the tests"
	@Scripts/run-tests -c $(configuration) --skip-build

build: ## Build the optimised programs
	@Scripts/install-deps build
	@$(MAKE) -s --no-print-directory $(vmm)

$(vmm): $(sources)
	@echo "Building apus-vmm ($(configuration)); the first build takes some minutes"
	@swift build -c $(configuration) --product apus-vmm
	@touch $@

guest: ## Prepare guest/vmlinuz and guest/initramfs.cpio.gz out of Debian's packages
	@Scripts/install-deps guest
	@$(MAKE) -s --no-print-directory guest/initramfs.cpio.gz

guest/vmlinuz: Scripts/fetch-kernel
	@Scripts/fetch-kernel guest

guest/initramfs.cpio.gz: guest/vmlinuz Scripts/make-initramfs Scripts/guest-init Scripts/guest-dhcp
	@Scripts/make-initramfs guest $@

guest/stock/vmlinuz: Scripts/fetch-kernel
	@Scripts/fetch-kernel guest/stock linux-image-amd64

guest/stock/initramfs.cpio.gz: guest/stock/vmlinuz Scripts/make-initramfs Scripts/guest-init Scripts/guest-dhcp
	@Scripts/make-initramfs guest/stock $@

guest/debug/vmlinux: guest/vmlinuz Scripts/fetch-kernel-symbols
	@Scripts/fetch-kernel-symbols guest

guest/debian.raw: Scripts/make-debian-disk
	@Scripts/make-debian-disk guest

guest/secure.img: guest/initramfs.cpio.gz Scripts/make-secure-disk
	@Scripts/make-secure-disk guest

guest/installer/initrd.gz: Scripts/fetch-installer
	@Scripts/fetch-installer guest/installer

guest/boot.qcow2: Scripts/make-boot-disk
	@Scripts/make-boot-disk guest

bench: ## Time Apus beside QEMU, qemu-img and libvirtd, and print the ratios (ROUNDS=5, ONLY=sieve,fork, CPU=, OPTIONS=)
	@Scripts/install-deps build guest bench
	@$(MAKE) -s --no-print-directory $(vmm) guest/bench.cpio.gz guest/exits.flat guest/motion.raw guest/viewer
	@echo "Building the benchmark"
	@swift build -c release --package-path Benchmarks >/dev/null
	@Benchmarks/.build/release/apus-bench
	@if [ -z "$(ONLY)" ]; then $(MAKE) -s --no-print-directory bench-images bench-network bench-daemon; fi

guest/bench.cpio.gz: guest/initramfs.cpio.gz Benchmarks/make-guest $(wildcard Benchmarks/Guest/*)
	@Benchmarks/make-guest guest/initramfs.cpio.gz $@

guest/exits.flat: Benchmarks/Exits/exits.S
	@mkdir -p guest
	@gcc -m32 -nostdlib -static -no-pie -Wl,-Ttext=0x101000 -Wl,-z,max-page-size=4096 -Wl,--build-id=none -o $@ $<

guest/motion.raw: Benchmarks/Screen/motion.S
	@mkdir -p guest
	@gcc -m32 -nostdlib -static -no-pie -Wl,-Ttext=0x7C00 -Wl,--oformat=binary -Wl,--build-id=none -o $@.new $<
	@truncate -s 1M $@.new
	@mv $@.new $@

guest/viewer: Benchmarks/Screen/viewer.c
	@mkdir -p guest
	@gcc -O2 -o $@ $<

bench-images: ## Time apus-img beside qemu-img and print the ratios (SIZE=2048 MiB)
	@Scripts/install-deps build test
	@swift build -c $(configuration) --product apus-img
	@Scripts/bench-images $(or $(SIZE),2048)

bench-network: ## Time networks beside QEMU and print the ratios (SECONDS_EACH=5)
	@Scripts/install-deps build guest bench
	@$(MAKE) -s --no-print-directory $(vmm) guest/initramfs.cpio.gz
	@Scripts/bench-network $(or $(SECONDS_EACH),5)

bench-daemon: ## Time the daemon beside libvirtd and print the ratios (MACHINES="1 50 200 1000")
	@Scripts/install-deps build guest bench
	@$(MAKE) -s --no-print-directory $(vmm) guest/initramfs.cpio.gz
	@swift build -c $(configuration) --product apus
	@Scripts/bench-daemon $(MACHINES)

fuzz: ## Run the hostile-input tests with more rounds, and busy guests for an hour (APUS_FUZZ_ROUNDS=20, MINUTES=60)
	@Scripts/install-deps build test fuzz
	@$(MAKE) -s --no-print-directory guest/debug/vmlinux || echo "No symbols of the guest's kernel: no dump is opened by crash."
	@Scripts/fuzz
	@if $(MAKE) -s --no-print-directory guest/stress.cpio; then \
		$(MAKE) -s --no-print-directory stress MINUTES=$(or $(MINUTES),60); \
	else echo "No compilers for a guest: none is kept busy."; fi

stress: ## Keep guests busy, with 2 and with 4 processors, and listen to their kernels (MINUTES=5)
	@Scripts/install-deps build guest
	@$(MAKE) -s --no-print-directory $(vmm) guest/stress.cpio
	@Scripts/stress $(vmm) guest/stress.cpio $(or $(MINUTES),5)

guest/stress.cpio: guest/initramfs.cpio.gz Scripts/make-stress-image $(wildcard Scripts/stress-guest/*)
	@Scripts/make-stress-image guest/initramfs.cpio.gz $@

lint: ## Check the format of the sources and the words in them
	@Scripts/lint

format: ## Format the sources in place
	@swift format --in-place --parallel --recursive Sources Tests Benchmarks/Sources

install-deps: ## Install every Debian package that the targets above need
	@Scripts/install-deps build guest test bench

clean: ## Remove what was built and the prepared guest
	@rm -rf .build Benchmarks/.build guest
	@echo "Removed .build and guest"

# make         build ./runbook
# make test    everything: the code, the command line, the lab with the incident
# make demo    the incident and its end, shown on the lab
# make lab     bring the lab up and leave it up; make lab-down takes it away
# make lab-vm  tests on virtual machines that reboot; not a part of make test
.PHONY: build test unit crash lab-test lab-vm vet deps vm-deps demo lab lab-down bench

GO    := go
UNIT   = $(shell $(GO) list ./... | grep -v '^runbook/tests')
LABCTL = $(GO) run ./tests/lab/labctl

# What the lab and the tests with real tools want of Debian.
PACKAGES = ca-certificates debootstrap openssh-client openssh-server sudo curl wget procps iproute2 iptables conntrack ipset \
	etcd-server etcd-client grub-common grub2-common containerd runc containernetworking-plugins busybox-static systemd

# What the virtual machines want beside that.
VM_PACKAGES = qemu-system-x86 qemu-utils e2fsprogs

# $(call timed,part,command) runs a command and says how long it took.
timed = @began=$$(date +%s); { $(2); } && echo "== $(1): $$(($$(date +%s) - began)) s"

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o runbook .

# Each time other moments: make crash alone takes a thousand of them.
test: export CRASH_KILLS ?= 300
test: deps build vet unit crash lab-test

vet:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(call timed,vet,$(GO) vet ./...)

# The lab's parts serve the tests that want real ones: an old ipset, a Debian
# tree, a kube-apiserver. Under CI a test that does not get its own fails.
PARTS = if [ "$$(id -u)$$(uname)" = 0Linux ]; then parts=$$($(LABCTL) parts) && eval "$$parts"; fi

unit:
	$(call timed,unit tests and their parts,{ $(PARTS); } && $(GO) test -race -timeout 15m $(UNIT))

# The program, killed: at every failpoint, which only a build with that tag has,
# and at CRASH_KILLS random moments. The counts are printed. Go does not see that
# these tests, and the lab's, build the program: they are run anew each time.
crash:
	$(call timed,the program killed,$(GO) test -tags failpoint ./runner/failpoint ./runner/journal && $(GO) test -count=1 -timeout 20m -v ./tests/crash)

# Two packages at a time: each has a lab of its own, and a lab mostly waits.
lab-test:
	@test "$$(uname)" = Linux || echo "the lab cannot run here: it needs Linux"
	$(call timed,tests on the lab,$(GO) test -count=1 -p 2 -timeout 70m -v $$($(GO) list ./tests/... | grep -v /tests/crash))

# Some twenty minutes, on any processor: the machines are emulated. .ci/daily calls it.
lab-vm: deps vm-deps
	$(call timed,tests on virtual machines,RUNBOOK_LAB_VM=1 $(GO) test -count=1 -p 1 -timeout 70m -v ./tests/labvm/...)

# $(call installed,packages): as root on Debian, install what is missing, upgrade nothing.
installed = @test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null || dpkg-query -W $(1) >/dev/null 2>&1 || \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-upgrade $(1) >/dev/null; }

deps:
	$(call installed,$(PACKAGES))

vm-deps:
	$(call installed,$(VM_PACKAGES))

demo: deps build
	$(GO) run ./tests/demo

lab: deps
	$(LABCTL) up

lab-down:
	$(LABCTL) down

bench:
	$(GO) test -run '^$$' -bench . -benchmem $(UNIT)

# The Debian package and the container image. Included by the Makefile.

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
REVISION := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
export PACKAGE_MAINTAINER ?= The Bowline developers <bowline@bowline.invalid>
# A binary that is there already, instead of one that is built now.
export BINARY ?=
IMAGE ?= bowline:$(VERSION)

.PHONY: package
package: $(if $(BINARY),,cargo) ## Debian package in dist/, of BINARY=… or of a fresh release build
	$(if $(BINARY),,cargo build --release --locked --bin bowline)
	deploy/debian/build '$(or $(BINARY),target/release/bowline)' '$(VERSION)' dist

.PHONY: test-package
test-package: ## Install, look at, upgrade, remove and purge the package of `make package` in a chroot (as root, with mmdebstrap)
	deploy/debian/test dist/bowline_$(VERSION)_*.deb

.PHONY: static
static: $(if $(BINARY),,cargo) ## Static binary in dist/bowline
	mkdir -p dist
ifeq ($(BINARY),)
	RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --bin bowline --target "$$(uname -m)-unknown-linux-gnu"
	cp "target/$$(uname -m)-unknown-linux-gnu/release/bowline" dist/bowline
else
	cp '$(BINARY)' dist/bowline
endif

.PHONY: image
image: ## Container image, compiled in a container
	docker build -f deploy/docker/Dockerfile --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) -t $(IMAGE) .

.PHONY: image-given
image-given: ## Container image of dist/bowline (make static)
	docker build -f deploy/docker/Dockerfile --build-arg BINARY=given --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) \
		$(if $(RUST_IMAGE),--build-arg RUST_IMAGE=$(RUST_IMAGE)) -t $(IMAGE) .

.PHONY: image-digests
image-digests: ## Pin the Dockerfile's images by digest (needs a registry)
	deploy/docker/digests

.PHONY: test-image
test-image: ## Run the image as Soketi's users run theirs, and look whether it is healthy
	deploy/docker/test $(IMAGE)

.PHONY: test-unit
test-unit: ## Have systemd verify and rate the service
	deploy/systemd/test

# The commands a person types. Everything else is CMake.
.PHONY: build test test-vm test-full demo bench install uninstall clean

PREFIX ?= /usr/local

build:
	@./cmake/install-deps
	@cmake --preset release >/dev/null
	@cmake --build --preset release

test:
	@./cmake/install-deps
	@./tests/run

# Every kernel of vm/kernels, in QEMU guests.
test-vm:
	@./cmake/install-deps
	@./tests/run --vm

# Everything, hours of it: before a release.
test-full: test test-vm
	@./tests/run --full

demo: build
	@./tests/e2e/demo

bench: build
	@./tests/bench/latency

# DESTDIR moves everything below another root, for packages. The unit names programs below PREFIX.
install: build
	@cmake --preset release -DCMAKE_INSTALL_PREFIX="$(PREFIX)" >/dev/null
	@DESTDIR="$(DESTDIR)" cmake --install build/release --strip

# Removes what the last `make install` from this tree put there; state and logs stay.
uninstall:
	@test -f build/release/install_manifest.txt || { echo "error: nothing was installed from this tree" >&2; exit 1; }
	@sed 's|^|$(DESTDIR)|' build/release/install_manifest.txt | tr '\n' '\0' | xargs -0 rm -f

clean:
	@rm -rf build

# The commands a person types. Everything else is CMake.
.PHONY: build test demo bench clean

build:
	@./cmake/install-deps
	@cmake --preset release >/dev/null
	@cmake --build --preset release

test:
	@./cmake/install-deps
	@./tests/run

demo: build
	@./tests/e2e/demo

bench: build
	@./tests/bench/latency

clean:
	@rm -rf build

# The commands a person types. Everything else is CMake.
.PHONY: build test demo clean

build:
	@./cmake/install-deps
	@cmake --preset release >/dev/null
	@cmake --build --preset release

test:
	@./cmake/install-deps
	@./tests/run

demo: build
	@./tests/e2e/demo

clean:
	@rm -rf build

# Language level, warnings, hardening and sanitizers, the same for every target.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(RAIND_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")
set(RAIND_BIN_DIR "${CMAKE_BINARY_DIR}/bin" CACHE PATH "Where the three programs are written")
set(RAIND_FUZZ_SECONDS 10 CACHE STRING "How long CTest lets each fuzz target run")
option(RAIND_WERROR "Treat warnings as errors" ON)

find_program(RAIND_CCACHE ccache)
if(RAIND_CCACHE)
  # Paths inside the tree are the tree's own: a second clone finds what the first one compiled.
  set(RAIND_LAUNCHER "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1 "${RAIND_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER "${RAIND_LAUNCHER}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${RAIND_LAUNCHER}")
endif()

add_library(raind_options INTERFACE)
target_compile_features(raind_options INTERFACE cxx_std_23)
target_compile_options(raind_options INTERFACE
  # Designated initialisers leave members to their defaults on purpose.
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-missing-field-initializers
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
  $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast>
  # What g++ 12 claims to see in code of the standard library that it has inlined itself. The other
  # builds have these warnings, as errors.
  $<$<CONFIG:Release>:-Wno-stringop-overread>
  $<$<CONFIG:Release>:-Wno-free-nonheap-object>
  $<$<CONFIG:Release>:-Wno-maybe-uninitialized>
  $<$<CONFIG:Release>:-Wno-restrict>
  $<$<CONFIG:Release>:-Wno-unused-result>
  -fstack-protector-strong
  $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>
  $<$<BOOL:${RAIND_WERROR}>:-Werror>)
target_compile_definitions(raind_options INTERFACE
  _GNU_SOURCE $<$<COMPILE_LANGUAGE:CXX>:_GLIBCXX_ASSERTIONS> RAIND_VERSION="${PROJECT_VERSION}")
target_link_options(raind_options INTERFACE -Wl,-z,relro,-z,now)
target_include_directories(raind_options INTERFACE "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/include")
if(RAIND_SANITIZE)
  target_compile_options(raind_options INTERFACE -fsanitize=${RAIND_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(raind_options INTERFACE -fsanitize=${RAIND_SANITIZE})
endif()

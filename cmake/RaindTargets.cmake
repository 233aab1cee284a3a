# raind_library(NAME SOURCES ... LIBS ...): one static library per folder.
function(raind_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS;PRIVATE_LIBS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC raind_options ${arg_LIBS} PRIVATE ${arg_PRIVATE_LIBS})
endfunction()

# raind_program(NAME SOURCES ... LIBS ...): one of the programs that are installed.
function(raind_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE raind_options ${arg_LIBS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${RAIND_BIN_DIR}")
endfunction()

# What `ctest -L "unit|bpf|net|fuzz"` runs and nothing else: no program that is installed.
add_custom_target(raind_tests)

# Test programs that are run under other kernels, in guests.
add_custom_target(raind_vm_tests)
# Those of them with the label smoke.
add_custom_target(raind_smoke_tests)

# The one doctest main, compiled once.
function(raind_doctest_main)
  if(NOT TARGET raind_doctest_main)
    add_library(raind_doctest_main STATIC "${CMAKE_SOURCE_DIR}/tests/support/doctest_main.cpp")
    target_link_libraries(raind_doctest_main PUBLIC raind_options doctest::doctest)
  endif()
endfunction()

# raind_unit_test(NAME SOURCES ... LIBS ... [LABELS unit|bpf|net|e2e ...] [TIMEOUT s])
function(raind_unit_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LIBS;LABELS" ${ARGN})
  raind_doctest_main()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LIBS} raind_doctest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME ${name} COMMAND ${name})
  add_dependencies(raind_tests ${name})
  if("bpf" IN_LIST arg_LABELS OR "net" IN_LIST arg_LABELS)
    add_dependencies(raind_vm_tests ${name})
  endif()
  if("smoke" IN_LIST arg_LABELS)
    add_dependencies(raind_smoke_tests ${name})
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77)
endfunction()

# raind_script_test(NAME COMMAND ... [LABELS ...] [TIMEOUT s]): a test that is a script; 77 means skipped.
function(raind_script_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "COMMAND;LABELS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${arg_COMMAND})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77
    ENVIRONMENT "RAIND_BIN_DIR=${RAIND_BIN_DIR};RAIND_BUILD_DIR=${CMAKE_BINARY_DIR};RAIND_SOURCE_DIR=${CMAKE_SOURCE_DIR}")
endfunction()

# raind_bpf_object(NAME SOURCE): compiles one BPF program file with clang 19 and makes its libbpf
# skeleton. Gives the interface target raind_bpf_NAME whose include directory holds NAME.skel.h.
find_program(RAIND_BPF_CLANG clang-19 REQUIRED)
find_program(RAIND_BPFTOOL bpftool PATHS /usr/sbin REQUIRED)

function(raind_bpf_object name source)
  set(out "${CMAKE_BINARY_DIR}/bpf")
  file(MAKE_DIRECTORY "${out}")
  set(object "${out}/${name}.bpf.o")
  set(skeleton "${out}/${name}.skel.h")
  add_custom_command(
    OUTPUT "${object}"
    COMMAND "${RAIND_BPF_CLANG}" -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror
            -I "${CMAKE_SOURCE_DIR}/include" -I "${CMAKE_SOURCE_DIR}/bpf" -isystem /usr/include/x86_64-linux-gnu
            -MD -MF "${object}.d" -MT "${object}" -c "${source}" -o "${object}"
    DEPENDS "${source}"
    DEPFILE "${object}.d"
    COMMENT "BPF ${name}" VERBATIM)
  add_custom_command(
    OUTPUT "${skeleton}"
    COMMAND sh -c "\"${RAIND_BPFTOOL}\" gen skeleton \"${object}\" name ${name} > \"${skeleton}\""
    DEPENDS "${object}"
    COMMENT "BPF skeleton ${name}" VERBATIM)
  add_custom_target(raind_bpf_${name}_gen DEPENDS "${object}" "${skeleton}")
  add_library(raind_bpf_${name} INTERFACE)
  add_dependencies(raind_bpf_${name} raind_bpf_${name}_gen)
  target_include_directories(raind_bpf_${name} SYSTEM INTERFACE "${out}")
endfunction()

# Compiler, linker, warnings and sanitizers, the same for every target.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Debug CACHE STRING "Debug or Release" FORCE)
endif()
# -O1 compiles about as fast as -O0 here and runs several times faster; line tables are all that a
# stack trace needs.
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1 -D_GLIBCXX_ASSERTIONS")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")

set(HANDRAIL_SANITIZE "" CACHE STRING "address,undefined or thread; empty for none")
option(HANDRAIL_FUZZ "Build the fuzzers with libFuzzer (clang)" OFF)

set(handrail_is_clang $<CXX_COMPILER_ID:Clang>)

# Only programs come out of this build: one -fPIE for programs and archives alike, because a
# precompiled header made with -fPIC does not fit them.
add_compile_options(-fPIE -fno-omit-frame-pointer -fstack-protector-strong)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
add_link_options(-pie LINKER:-z,relro LINKER:-z,now)

if(HANDRAIL_SANITIZE)
  # No recovery: a report is a failed test. vptr needs the type information of libraries that were
  # built by another compiler and hide it.
  add_compile_options(-fsanitize=${HANDRAIL_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${HANDRAIL_SANITIZE})
  if(HANDRAIL_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize=vptr)
    add_link_options(-fno-sanitize=vptr)
  endif()
endif()
if(HANDRAIL_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "HANDRAIL_FUZZ needs clang: add -DCMAKE_CXX_COMPILER=clang++-14")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# The warnings of our own code; generated code is compiled without them.
# clang counts -Wsign-conversion to -Wconversion and g++ does not: one rule for both.
add_library(handrail_warnings INTERFACE)
target_compile_options(handrail_warnings INTERFACE
  -Wall -Wextra -Wconversion -Werror
  $<${handrail_is_clang}:-Wno-sign-conversion -Wthread-safety -Wthread-safety-beta>
  # With -O2, g++ 12 takes the unused part of a std::variant for a value that is read.
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>:-Wno-maybe-uninitialized>)

find_program(HANDRAIL_CCACHE ccache)
if(HANDRAIL_CCACHE)
  # Precompiled headers defeat ccache without the sloppiness. Paths relative to the tree and no
  # directory in the hash let one tree use what another has compiled, wherever the two stand.
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
    CCACHE_NOHASHDIR=1 CCACHE_ABSSTDERR=1 ${HANDRAIL_CCACHE})
  add_compile_options(
    $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>
    "$<${handrail_is_clang}:SHELL:-Xclang -fno-pch-timestamp>")
endif()

find_program(HANDRAIL_MOLD mold)
find_program(HANDRAIL_LLD NAMES ld.lld ld.lld-14)
if(HANDRAIL_MOLD)
  add_link_options(-fuse-ld=mold)
elseif(HANDRAIL_LLD)
  add_link_options(-fuse-ld=lld)
endif()

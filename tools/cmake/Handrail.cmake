# The functions with which a folder says what it builds. A target is named after its folder:
# common/storage builds common_storage.
#
#   handrail_library(common_storage SRCS a.cc b.cc DEPS common_base ext::sqlite)   no SRCS: headers only
#   handrail_binary(handrail_matching SRCS matching_main.cc DEPS services_matching GRPC)
#   handrail_test(common_storage_test SRCS a_test.cc DEPS common_storage common_testing
#                 LABELS unit [TIMEOUT 60] [BINARIES handrail_matching] [ARGS ...] [SERIAL] [NO_TSAN])
#   handrail_fuzzer(frame_fuzzer SRCS frame_fuzzer.cc SEEDS seeds DEPS ...)
#   handrail_proto_library(proto_common PROTOS handrail/common/v1/access.proto DEPS google_protos [GRPC])
#
# GRPC on a library, binary or test: it includes grpcpp or generated headers; it links gRPC and
# shares the precompiled header of those.
# NO_TSAN on a test: it goes through libgrpc although it has no GRPC itself.

include_guard(GLOBAL)

# Owns the one precompiled header of the build.
file(WRITE ${CMAKE_BINARY_DIR}/grpc_pch.cc "// Exists so that the precompiled header has an owner.\n")
add_library(grpc_pch OBJECT ${CMAKE_BINARY_DIR}/grpc_pch.cc)
target_link_libraries(grpc_pch PUBLIC ext::grpc ext::absl)
target_precompile_headers(grpc_pch PRIVATE
  <grpcpp/grpcpp.h>
  <google/protobuf/message.h>
  <algorithm> <atomic> <chrono> <cstdint> <deque> <functional> <map> <memory> <mutex> <optional>
  <string> <thread> <utility> <variant> <vector>
  <absl/container/flat_hash_map.h> <absl/status/status.h> <absl/status/statusor.h>
  <absl/strings/str_cat.h> <absl/strings/string_view.h> <absl/time/time.h>)

# What every target of ours has, after add_library or add_executable.
function(handrail_configure_ target grpc)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE handrail_warnings)
  if(grpc)
    target_link_libraries(${target} PUBLIC ext::grpc ext::absl)
    target_precompile_headers(${target} REUSE_FROM grpc_pch)
  endif()
endfunction()

function(handrail_check_arguments_ prefix target)
  if(${prefix}_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${target}: unknown arguments ${${prefix}_UNPARSED_ARGUMENTS}")
  endif()
endfunction()

function(handrail_library target)
  cmake_parse_arguments(ARG "GRPC" "" "SRCS;DEPS" ${ARGN})
  handrail_check_arguments_(ARG ${target})
  if(NOT ARG_SRCS)
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${target} INTERFACE ${ARG_DEPS})
    return()
  endif()
  add_library(${target} STATIC ${ARG_SRCS})
  target_link_libraries(${target} PUBLIC ${ARG_DEPS})
  handrail_configure_(${target} ${ARG_GRPC})
endfunction()

function(handrail_binary target)
  cmake_parse_arguments(ARG "GRPC" "" "SRCS;DEPS" ${ARGN})
  handrail_check_arguments_(ARG ${target})
  add_executable(${target} ${ARG_SRCS})
  target_link_libraries(${target} PRIVATE ${ARG_DEPS})
  handrail_configure_(${target} ${ARG_GRPC})
endfunction()

# One CTest entry per binary: starting a process per case costs more than the cases. Tests run from
# the root of the repository, side by side (`ctest -j`): no fixed port, no fixed path. They find the
# programs of the build in the environment variable HANDRAIL_BIN_DIR.
function(handrail_test target)
  cmake_parse_arguments(ARG "GRPC;SERIAL;NO_TSAN" "TIMEOUT" "SRCS;DEPS;LABELS;BINARIES;ARGS" ${ARGN})
  handrail_check_arguments_(ARG ${target})
  if(NOT ARG_LABELS)
    message(FATAL_ERROR "${target}: say LABELS unit, conformance, integration or fault")
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(HANDRAIL_SANITIZE)
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 4")
  endif()
  add_executable(${target} ${ARG_SRCS})
  target_link_libraries(${target} PRIVATE ${ARG_DEPS} ext::gtest GTest::gmock_main)
  handrail_configure_(${target} ${ARG_GRPC})
  if(ARG_BINARIES)
    add_dependencies(${target} ${ARG_BINARIES})
  endif()
  add_test(NAME ${target} COMMAND ${target} ${ARG_ARGS} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${target} PROPERTIES TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "HANDRAIL_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  if(ARG_SERIAL)
    set_tests_properties(${target} PROPERTIES RUN_SERIAL ON)
  endif()
  # Under ThreadSanitizer only what does not go through libgrpc, whose locks it cannot see.
  set(labels ${ARG_LABELS})
  if(NOT ARG_GRPC AND NOT ARG_NO_TSAN AND ARG_LABELS MATCHES "^(unit|conformance)$")
    list(APPEND labels tsan_${ARG_LABELS})
  endif()
  set_tests_properties(${target} PROPERTIES LABELS "${labels}")
  # `ninja tests_unit` builds what `ctest -L unit` runs.
  foreach(label ${labels})
    if(NOT TARGET tests_${label})
      add_custom_target(tests_${label})
    endif()
    add_dependencies(tests_${label} ${target})
  endforeach()
endfunction()

# With HANDRAIL_FUZZ a libFuzzer program in bin/; without it a test (label unit) that runs the
# committed seeds through the same function.
function(handrail_fuzzer target)
  cmake_parse_arguments(ARG "GRPC" "SEEDS" "SRCS;DEPS" ${ARGN})
  handrail_check_arguments_(ARG ${target})
  if(HANDRAIL_FUZZ)
    add_executable(${target} ${ARG_SRCS})
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    target_link_libraries(${target} PRIVATE ${ARG_DEPS})
    if(NOT TARGET fuzzers)
      add_custom_target(fuzzers)
      file(WRITE ${CMAKE_BINARY_DIR}/fuzzers.txt "")
    endif()
    add_dependencies(fuzzers ${target})
    # One line a fuzzer, "<name> <seed folder>", for the stage that runs them.
    file(APPEND ${CMAKE_BINARY_DIR}/fuzzers.txt
      "${target} ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SEEDS}\n")
  else()
    add_executable(${target} ${ARG_SRCS} ${PROJECT_SOURCE_DIR}/tools/cmake/fuzz_replay_main.cc)
    target_link_libraries(${target} PRIVATE ${ARG_DEPS})
    add_test(NAME ${target} COMMAND ${target} ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SEEDS})
    set_tests_properties(${target} PROPERTIES LABELS unit TIMEOUT 60)
    if(NOT TARGET tests_unit)
      add_custom_target(tests_unit)
    endif()
    add_dependencies(tests_unit ${target})
  endif()
  handrail_configure_(${target} ${ARG_GRPC})
endfunction()

# Generates and compiles protos. PROTOS are paths below ROOT, which is proto/ unless said. The
# headers are included by the same path: "handrail/matching/v1/matching_service.grpc.pb.h".
# Generated code gets none of our warnings, its headers are system headers to those who use them.
set(handrail_google_protos ${PROJECT_SOURCE_DIR}/tools/proto/node_modules/google-proto-files)
function(handrail_proto_library target)
  cmake_parse_arguments(ARG "GRPC" "ROOT" "PROTOS;DEPS" ${ARGN})
  handrail_check_arguments_(ARG ${target})
  if(NOT ARG_ROOT)
    set(ARG_ROOT ${PROJECT_SOURCE_DIR}/proto)
  endif()
  set(out ${CMAKE_BINARY_DIR}/proto_gen)
  file(MAKE_DIRECTORY ${out})
  set(imports -I${ARG_ROOT})
  if(NOT ARG_ROOT STREQUAL handrail_google_protos)
    list(APPEND imports -I${PROJECT_SOURCE_DIR}/proto)  # a test's own protos import ours
  endif()
  if(NOT ARG_ROOT STREQUAL handrail_google_protos)
    list(APPEND imports -I${handrail_google_protos})
  endif()
  set(all_sources)
  foreach(proto ${ARG_PROTOS})
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    set(generated ${out}/${stem}.pb.cc ${out}/${stem}.pb.h)
    set(flags --cpp_out=${out})
    if(ARG_GRPC)
      list(APPEND generated ${out}/${stem}.grpc.pb.cc ${out}/${stem}.grpc.pb.h)
      list(APPEND flags --grpc_out=${out}
        --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>)
    endif()
    # The dependency file makes a change in an imported proto regenerate this one.
    add_custom_command(
      OUTPUT ${generated}
      COMMAND protobuf::protoc ${imports} ${flags}
              --dependency_out=${out}/${stem}.d ${proto}
      WORKING_DIRECTORY ${ARG_ROOT}
      DEPENDS ${ARG_ROOT}/${proto}
      DEPFILE ${out}/${stem}.d
      COMMENT "protoc ${proto}" VERBATIM)
    list(APPEND all_sources ${generated})
  endforeach()
  add_library(${target} STATIC ${all_sources})
  target_include_directories(${target} SYSTEM PUBLIC ${out})
  target_compile_options(${target} PRIVATE -w)
  target_link_libraries(${target} PUBLIC ext::protobuf ${ARG_DEPS})
  if(ARG_GRPC)
    target_link_libraries(${target} PUBLIC ext::grpc ext::absl)
    target_precompile_headers(${target} REUSE_FROM grpc_pch)
  endif()
endfunction()

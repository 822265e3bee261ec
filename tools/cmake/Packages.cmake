# Everything from outside, all of it Debian packages (tools/packages.txt), each under one name
# ext::<name> so that a folder's DEPS read alike whatever the package ships.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(GTest CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc i18n)
# Debian 12's HiredisConfig.cmake is broken, the rest ship no CMake files.
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(LIBPQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
# It says -D_FILE_OFFSET_BITS=64, which 64-bit systems have anyway and a precompiled header does not
# take.
set_target_properties(PkgConfig::HIREDIS PROPERTIES INTERFACE_COMPILE_OPTIONS "")
pkg_check_modules(LEMON REQUIRED IMPORTED_TARGET lemon)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)

function(handrail_external name)
  add_library(ext_${name} INTERFACE)
  target_link_libraries(ext_${name} INTERFACE ${ARGN})
  add_library(ext::${name} ALIAS ext_${name})
endfunction()

handrail_external(absl
  absl::base absl::btree absl::cleanup absl::cord absl::flat_hash_map absl::flat_hash_set
  absl::hash absl::inlined_vector absl::memory absl::optional absl::span absl::status
  absl::statusor absl::str_format absl::strings absl::synchronization absl::time
  absl::type_traits Threads::Threads)
handrail_external(protobuf protobuf::libprotobuf)
handrail_external(grpc gRPC::grpc++ protobuf::libprotobuf)
handrail_external(grpc_reflection gRPC::grpc++_reflection)
handrail_external(hiredis PkgConfig::HIREDIS)
handrail_external(sqlite PkgConfig::SQLITE)
handrail_external(pq PkgConfig::LIBPQ)
handrail_external(sodium PkgConfig::SODIUM)
handrail_external(openssl OpenSSL::SSL OpenSSL::Crypto)
handrail_external(icu ICU::i18n ICU::uc)
handrail_external(prometheus prometheus-cpp::core)
handrail_external(curl PkgConfig::CURL)
handrail_external(httplib PkgConfig::HTTPLIB Threads::Threads)
# Its headers alone: what runs needs no library of it.
add_library(ext_lemon INTERFACE)
target_compile_definitions(ext_lemon INTERFACE LEMON_ONLY_TEMPLATES)
target_include_directories(ext_lemon SYSTEM INTERFACE ${LEMON_INCLUDE_DIRS})
add_library(ext::lemon ALIAS ext_lemon)
handrail_external(cli11 CLI11::CLI11)
handrail_external(json nlohmann_json::nlohmann_json)
handrail_external(gtest GTest::gmock GTest::gtest)

handrail_library(common_redis
  SRCS redis.cc redis_cluster.cc redis_cluster_refresh.cc redis_connection.cc redis_endpoint.cc redis_link.cc
       redis_locator.cc redis_protocol.cc redis_query.cc redis_sentinel.cc redis_slots.cc
       redis_subscriber.cc redis_tls.cc redis_transport.cc redis_url_check.cc
  DEPS common_base ext::absl ext::hiredis ext::openssl)

handrail_test(common_redis_unit_test
  SRCS redis_endpoint_test.cc redis_protocol_test.cc redis_slots_test.cc
  DEPS common_redis common_testing
  LABELS unit)

handrail_test(common_redis_test
  SRCS redis_link_test.cc redis_faults_test.cc redis_subscriber_test.cc
  DEPS common_redis common_testing common_testing_redis
  LABELS conformance)

handrail_test(common_redis_topology_test
  SRCS redis_cluster_test.cc redis_sentinel_test.cc redis_tls_test.cc
  DEPS common_redis common_testing common_testing_redis
  LABELS conformance)

foreach(parser redis_endpoint redis_reply)
  handrail_fuzzer(${parser}_fuzzer
    SRCS ${parser}_fuzzer.cc
    SEEDS fuzz_seeds/${parser}
    DEPS common_redis common_testing)
endforeach()

#ifndef HANDRAIL_COMMON_RPC_BAD_REQUEST_INTERCEPTOR_H_
#define HANDRAIL_COMMON_RPC_BAD_REQUEST_INTERCEPTOR_H_

#include <grpcpp/support/server_interceptor.h>

#include <memory>

namespace handrail::rpc {

// A request that protobuf cannot parse, one with text that is no UTF-8 for instance, never reaches
// a handler: gRPC's callback API answers it with UNIMPLEMENTED and no word. This makes it
// INVALID_ARGUMENT / FIELD_INVALID. BidiStream does the same for the messages of a stream.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
MakeBadRequestInterceptorFactory();

}  // namespace handrail::rpc

#endif  // HANDRAIL_COMMON_RPC_BAD_REQUEST_INTERCEPTOR_H_

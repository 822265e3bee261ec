#ifndef HANDRAIL_COMMON_RPC_TESTING_RAW_CALL_H_
#define HANDRAIL_COMMON_RPC_TESTING_RAW_CALL_H_

#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <string>

namespace handrail::rpc::testing {

// Calls of methods by name, with whatever bytes: what a client that is not ours may send.

using RawStream = grpc::ClientReaderWriterInterface<grpc::ByteBuffer, grpc::ByteBuffer>;

inline grpc::ByteBuffer Bytes(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

inline grpc::Status RawUnary(grpc::ChannelInterface& channel, grpc::ClientContext* context,
                             const char* method, const std::string& bytes) {
  const grpc::internal::RpcMethod raw(method, grpc::internal::RpcMethod::NORMAL_RPC);
  grpc::ByteBuffer answer;
  return grpc::internal::BlockingUnaryCall(&channel, raw, context, Bytes(bytes), &answer);
}

inline std::unique_ptr<RawStream> RawBidi(grpc::ChannelInterface& channel,
                                          grpc::ClientContext* context, const char* method) {
  const grpc::internal::RpcMethod raw(method, grpc::internal::RpcMethod::BIDI_STREAMING);
  return std::unique_ptr<RawStream>(
      grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(
          &channel, raw, context));
}

inline std::unique_ptr<grpc::ClientReaderInterface<grpc::ByteBuffer>> RawServerStream(
    grpc::ChannelInterface& channel, grpc::ClientContext* context, const char* method,
    const std::string& bytes) {
  const grpc::internal::RpcMethod raw(method, grpc::internal::RpcMethod::SERVER_STREAMING);
  return std::unique_ptr<grpc::ClientReaderInterface<grpc::ByteBuffer>>(
      grpc::internal::ClientReaderFactory<grpc::ByteBuffer>::Create(&channel, raw, context,
                                                                    Bytes(bytes)));
}

// grpc.health.v1: the messages have the form of these wrappers, field 1 a string and an enum.
enum class Health : unsigned { kUnknown = 0, kServing = 1, kNotServing = 2, kServiceUnknown = 3 };
using HealthRequest = google::protobuf::StringValue;
using HealthResponse = google::protobuf::UInt32Value;

inline grpc::Status CheckHealth(grpc::ChannelInterface& channel, grpc::ClientContext* context,
                                const std::string& service, Health* health) {
  const grpc::internal::RpcMethod check("/grpc.health.v1.Health/Check",
                                        grpc::internal::RpcMethod::NORMAL_RPC);
  HealthRequest request;
  request.set_value(service);
  HealthResponse response;
  const grpc::Status status =
      grpc::internal::BlockingUnaryCall(&channel, check, context, request, &response);
  *health = static_cast<Health>(response.value());
  return status;
}

inline std::unique_ptr<grpc::ClientReaderInterface<HealthResponse>> WatchHealth(
    grpc::ChannelInterface& channel, grpc::ClientContext* context, const std::string& service) {
  const grpc::internal::RpcMethod watch("/grpc.health.v1.Health/Watch",
                                        grpc::internal::RpcMethod::SERVER_STREAMING);
  HealthRequest request;
  request.set_value(service);
  return std::unique_ptr<grpc::ClientReaderInterface<HealthResponse>>(
      grpc::internal::ClientReaderFactory<HealthResponse>::Create(&channel, watch, context,
                                                                  request));
}

}  // namespace handrail::rpc::testing

#endif  // HANDRAIL_COMMON_RPC_TESTING_RAW_CALL_H_

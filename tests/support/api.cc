#include "tests/support/api.h"

#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/rpc/client.h"
#include "common/rpc/status_conversion.h"
#include "handrail/matching/v1/batch.pb.h"
#include "handrail/matching/v1/candidates.pb.h"
#include "handrail/matching/v1/care.pb.h"
#include "handrail/matching/v1/help.pb.h"
#include "handrail/matching/v1/member_sync.grpc.pb.h"
#include "handrail/matching/v1/messages.pb.h"
#include "handrail/matching/v1/operator.pb.h"
#include "handrail/matching/v1/operator_care.pb.h"
#include "handrail/matching/v1/program_service.pb.h"
#include "handrail/matching/v1/weights.pb.h"
#include "handrail/messaging/v1/attachment.pb.h"
#include "handrail/messaging/v1/conversation_sync.grpc.pb.h"
#include "handrail/messaging/v1/group.pb.h"
#include "handrail/messaging/v1/invitation.pb.h"
#include "handrail/messaging/v1/key_service.pb.h"
#include "handrail/messaging/v1/push.pb.h"
#include "handrail/messaging/v1/report.pb.h"
#include "handrail/profiles/v1/case_sync.grpc.pb.h"
#include "handrail/profiles/v1/directory.grpc.pb.h"

namespace handrail::tests {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;

constexpr char kProtoFolder[] = "proto";
constexpr absl::Duration kTimeout = absl::Seconds(10);
constexpr absl::Duration kQuietStream = absl::Seconds(2);

// Links what no client uses: the linker leaves out a proto of which nothing is named. A new file
// joins here; until then AllMethods says so.
void LinkOtherProtos() {
  matching::v1::ApplyMembersRequest::descriptor();
  matching::v1::PlanBatchRequest::descriptor();
  matching::v1::ListCandidatesRequest::descriptor();
  matching::v1::ListNoticesRequest::descriptor();
  matching::v1::ListPoolsRequest::descriptor();
  matching::v1::EndProbationRequest::descriptor();
  matching::v1::ListCrisisLinesRequest::descriptor();
  matching::v1::ListProgramsRequest::descriptor();
  matching::v1::ScoreWeights::descriptor();
  matching::v1::MessageCatalogue::descriptor();
  messaging::v1::BeginAttachmentRequest::descriptor();
  messaging::v1::OpenConversationRequest::descriptor();
  messaging::v1::ClaimKeyPackagesRequest::descriptor();
  messaging::v1::GetGroupRequest::descriptor();
  messaging::v1::ListInvitationsRequest::descriptor();
  messaging::v1::ReportMessagesRequest::descriptor();
  profiles::v1::OpenCaseRequest::descriptor();
  messaging::v1::RegisterPushRequest::descriptor();
  profiles::v1::GetMemberSnapshotRequest::descriptor();
}

std::vector<std::string> ProtoFiles() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kProtoFolder)) {
    if (entry.path().extension() == ".proto") {
      files.push_back(std::filesystem::relative(entry.path(), kProtoFolder).string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

void FillField(Message& message, const FieldDescriptor* field, const Resources& resources,
               Random& random);

void FillMessage(Message& message, const Resources& resources, Random& random) {
  const Descriptor* type = message.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const common::v1::FieldRule& rule = RuleOf(field);
    const bool first_of_oneof =
        field->containing_oneof() != nullptr && field->index_in_oneof() == 0;
    const bool wanted = rule.required() || rule.request_id() || !rule.resource().empty() ||
                        (rule.has_range() && rule.min() > 0) || first_of_oneof;
    if (wanted) FillField(message, field, resources, random);
  }
}

std::string ValidText(const FieldDescriptor* field, const Resources& resources, Random& random) {
  const common::v1::FieldRule& rule = RuleOf(field);
  const std::string digits = MessageId::Random(random).ToString();
  if (!rule.resource().empty()) {
    const auto known = resources.find(rule.resource());
    return known != resources.end() ? known->second : absl::StrCat(rule.resource(), "/", digits);
  }
  if (rule.request_id()) return digits;
  if (rule.time_zone()) return "UTC";
  if (rule.language()) return "en";
  if (rule.country()) return "US";
  return std::string(static_cast<size_t>(std::max(1, rule.min_bytes())), 'x');
}

void FillField(Message& message, const FieldDescriptor* field, const Resources& resources,
               Random& random) {
  const auto* reflection = message.GetReflection();
  const common::v1::FieldRule& rule = RuleOf(field);
  const bool repeated = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      FillMessage(repeated ? *reflection->AddMessage(&message, field)
                           : *reflection->MutableMessage(&message, field),
                  resources, random);
      return;
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text =
          field->type() == FieldDescriptor::TYPE_BYTES
              ? std::string(static_cast<size_t>(std::max(1, rule.min_bytes())), 'x')
              : ValidText(field, resources, random);
      if (repeated) {
        reflection->AddString(&message, field, text);
      } else {
        reflection->SetString(&message, field, text);
      }
      return;
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto* value =
          field->enum_type()->value(std::min(1, field->enum_type()->value_count() - 1));
      if (repeated) {
        reflection->AddEnum(&message, field, value);
      } else {
        reflection->SetEnum(&message, field, value);
      }
      return;
    }
    case FieldDescriptor::CPPTYPE_INT32:
      if (!repeated) reflection->SetInt32(&message, field, static_cast<int32_t>(rule.min()));
      return;
    case FieldDescriptor::CPPTYPE_INT64:
      if (!repeated) reflection->SetInt64(&message, field, rule.min());
      return;
    case FieldDescriptor::CPPTYPE_BOOL:
      if (!repeated) reflection->SetBool(&message, field, true);
      return;
    default: return;
  }
}

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace

std::vector<Method> AllMethods() {
  LinkOtherProtos();
  std::vector<Method> methods;
  for (const std::string& name : ProtoFiles()) {
    const FileDescriptor* file = DescriptorPool::generated_pool()->FindFileByName(name);
    if (file == nullptr) {
      std::cerr << name << " is not linked into this test: add its library to DEPS\n";
      return {};
    }
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        Method method;
        method.descriptor = file->service(s)->method(m);
        method.policy = method.descriptor->options().GetExtension(common::v1::policy);
        const std::vector<std::string> package = absl::StrSplit(file->package(), '.');
        method.service = package.at(1);
        method.path =
            absl::StrCat("/", file->service(s)->full_name(), "/", method.descriptor->name());
        methods.push_back(std::move(method));
      }
    }
  }
  return methods;
}

const common::v1::FieldRule& RuleOf(const FieldDescriptor* field) {
  return field->options().GetExtension(common::v1::rule);
}

std::unique_ptr<Message> MakeValidRequest(const Descriptor* type, const Resources& resources,
                                          Random& random) {
  std::unique_ptr<Message> message(MessageFactory::generated_factory()->GetPrototype(type)->New());
  FillMessage(*message, resources, random);
  return message;
}

RawCaller::RawCaller(const tools::Endpoints& endpoints, Clock& clock) : clock_(clock) {
  const auto connect = [this](const std::string& service, const std::string& address) {
    rpc::ClientOptions options;
    options.address = address;
    channels_[service] = *rpc::MakeChannel(options);
  };
  connect("profiles", endpoints.profiles);
  connect("matching", endpoints.matching);
  connect("messaging", endpoints.messaging);
}

RawCaller::Outcome RawCaller::Call(const Method& method, const std::string& request,
                                   const std::string& authorization) {
  grpc::GenericStub stub(channels_.at(method.service));
  grpc::ClientContext context;
  const bool stream = method.descriptor->server_streaming();
  context.set_deadline(absl::ToChronoTime(clock_.Now() + (stream ? kQuietStream : kTimeout)));
  if (!authorization.empty()) context.AddMetadata("authorization", authorization);
  grpc::CompletionQueue queue;
  const auto next = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  auto call = stub.PrepareCall(&context, method.path, &queue);
  Outcome outcome;
  call->StartCall(nullptr);
  bool ok = next();
  if (ok) {
    call->WriteLast(BufferOf(request), grpc::WriteOptions(), nullptr);
    next();
  }
  grpc::ByteBuffer answer;
  if (ok) {
    call->Read(&answer, nullptr);
    outcome.answered = next();
  }
  if (stream && outcome.answered) context.TryCancel();
  grpc::Status status;
  call->Finish(&status, nullptr);
  next();
  queue.Shutdown();
  while (next()) {
  }
  // A stream that has nothing to say is open nevertheless.
  const bool quiet = stream && status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
  outcome.status = quiet || (stream && outcome.answered) ? grpc::Status::OK : status;
  if (!outcome.status.ok()) {
    outcome.reason = std::string(ReasonOf(rpc::FromGrpcStatus(outcome.status)));
  }
  return outcome;
}

}  // namespace handrail::tests

#include "services/messaging/handlers/report_handler.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/messaging/adapters/grpc_case_desk.h"
#include "services/messaging/adapters/proto_conversion.h"

namespace handrail::messaging {
namespace {

// Times are stored and stamped in whole microseconds; what lies between is no time of ours.
absl::StatusOr<absl::Time> FromProto(const google::protobuf::Timestamp& proto, size_t index) {
  if (proto.nanos() % 1'000 != 0) {
    return FieldError(absl::StrCat("messages[", index, "].create_time"),
                      "must be in whole microseconds");
  }
  return absl::FromUnixSeconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
}

absl::StatusOr<Report> FromProto(const v1::ReportMessagesRequest& proto) {
  Report report;
  ASSIGN_OR_RETURN(report.conversation, ConversationId::FromName(proto.conversation()));
  for (const auto& shown : proto.messages()) {
    const size_t index = report.messages.size();
    ReportedMessage& message = report.messages.emplace_back();
    message.stamped.commitment = shown.commitment();
    ASSIGN_OR_RETURN(message.stamped.sender, MemberId::FromName(shown.sender()));
    ASSIGN_OR_RETURN(message.stamped.sender_device, DeviceId::FromName(shown.sender_device()));
    message.stamped.conversation = report.conversation;
    message.stamped.sequence = shown.sequence();
    ASSIGN_OR_RETURN(message.stamped.create_time, FromProto(shown.create_time(), index));
    message.stamped.previous_commitment = shown.previous_commitment();
    message.content = shown.content();
    message.franking_key = shown.franking_key();
    message.stamp = shown.stamp();
    message.key_id = shown.key_id();
  }
  report.evidence = EncodeEvidence(proto);
  return report;
}

}  // namespace

grpc::ServerUnaryReactor* ReportHandler::ReportMessages(grpc::CallbackServerContext* context,
                                                        const v1::ReportMessagesRequest* request,
                                                        v1::ReportMessagesResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::ReportMessagesRequest& proto,
                            v1::ReportMessagesResponse* answer) -> absl::Status {
                       ASSIGN_OR_RETURN(const Report report, FromProto(proto));
                       ASSIGN_OR_RETURN(const FiledReport filed, reports_.File(call, report));
                       answer->set_report(filed.id.Name());
                       ToProto(filed.create_time, answer->mutable_create_time());
                       return absl::OkStatus();
                     });
}

}  // namespace handrail::messaging

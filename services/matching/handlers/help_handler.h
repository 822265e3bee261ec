#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_HELP_HANDLER_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_HELP_HANDLER_H_

#include <functional>
#include <string>

#include "common/rpc/authenticator.h"
#include "common/rpc/edge.h"
#include "common/rpc/stream_writer.h"
#include "handrail/matching/v1/help.grpc.pb.h"
#include "services/matching/domain/help_desk.h"
#include "services/matching/domain/help_store.h"
#include "services/matching/domain/member_cache.h"
#include "services/matching/domain/watch_hub.h"
#include "services/matching/handlers/page_tokens.h"

namespace handrail::matching {

// Everything must outlive the handler.
struct HelpContext {
  rpc::Edge& edge;
  rpc::StreamEnvironment streams;
  HelpStore& store;
  HelpDesk& desk;
  Ledger& ledger;
  MemberCache& members;
  WatchHub& hub;
  const PageTokens& pages;
  const Clock& clock;
  const v1::CrisisTable& crisis;
  std::function<void(const Effects&)> sink;
  const rpc::RevocationSet& revocations;
};

// HelpService. What a person is told never depends on a store; whom they reach does.
class HelpHandler final : public v1::HelpService::CallbackService {
 public:
  explicit HelpHandler(const HelpContext& context) : in_(context) {}

#define HANDRAIL_UNARY(method, request_type, response_type)                                      \
  grpc::ServerUnaryReactor* method(grpc::CallbackServerContext* context,                         \
                                   const v1::request_type* request, v1::response_type* response) \
      override
  HANDRAIL_UNARY(Reach, ReachRequest, ReachResponse);
  HANDRAIL_UNARY(ListCrisisLines, ListCrisisLinesRequest, ListCrisisLinesResponse);
  HANDRAIL_UNARY(GetHelpCall, GetHelpCallRequest, HelpCall);
  HANDRAIL_UNARY(CancelHelpCall, CancelHelpCallRequest, HelpCall);
  HANDRAIL_UNARY(ListHelpCalls, ListHelpCallsRequest, ListHelpCallsResponse);
  HANDRAIL_UNARY(AnswerHelpCall, AnswerHelpCallRequest, HelpAsk);
  HANDRAIL_UNARY(PassHelpCall, PassHelpCallRequest, HelpAsk);
  HANDRAIL_UNARY(GetOnCall, GetOnCallRequest, OnCall);
  HANDRAIL_UNARY(SetOnCall, SetOnCallRequest, OnCall);
  HANDRAIL_UNARY(GetBackups, GetBackupsRequest, Backups);
  HANDRAIL_UNARY(SetBackups, SetBackupsRequest, Backups);
#undef HANDRAIL_UNARY

  grpc::ServerWriteReactor<v1::WatchHelpCallResponse>* WatchHelpCall(
      grpc::CallbackServerContext* context, const v1::WatchHelpCallRequest* request) override;
  grpc::ServerWriteReactor<v1::WatchHelpCallsResponse>* WatchHelpCalls(
      grpc::CallbackServerContext* context, const v1::WatchHelpCallsRequest* request) override;

 private:
  // Where a person is and which language they read: as the request says, else as we know them.
  struct Locale {
    std::string country;
    std::string language;
  };
  enum class Stores : uint8_t { kMayBeRead, kAreDown };
  Locale LocaleOf(const Call& call, const std::string& country, const std::string& language,
                  Stores stores) const;

  const HelpContext in_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_HELP_HANDLER_H_

#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_CARE_HANDLER_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_CARE_HANDLER_H_

#include "handrail/matching/v1/care.grpc.pb.h"
#include "services/matching/domain/care_desk.h"
#include "services/matching/domain/care_store.h"
#include "services/matching/handlers/handlers.h"

namespace handrail::matching {

// The API of care.
class CareHandler final : public v1::CareService::CallbackService {
 public:
  // Everything must outlive the handler.
  CareHandler(const HandlerContext& context, CareStore& care, CareDesk& desk)
      : in_(context), care_(care), desk_(desk) {}

#define HANDRAIL_UNARY(method, request_type, response_type)                                      \
  grpc::ServerUnaryReactor* method(grpc::CallbackServerContext* context,                         \
                                   const v1::request_type* request, v1::response_type* response) \
      override
  HANDRAIL_UNARY(ListNotices, ListNoticesRequest, ListNoticesResponse);
  HANDRAIL_UNARY(MarkNoticeRead, MarkNoticeReadRequest, Notice);
  HANDRAIL_UNARY(ListCheckIns, ListCheckInsRequest, ListCheckInsResponse);
  HANDRAIL_UNARY(AnswerCheckIn, AnswerCheckInRequest, CheckIn);
  HANDRAIL_UNARY(RequestRematch, RequestRematchRequest, Ticket);
  HANDRAIL_UNARY(GetQueueStatus, GetQueueStatusRequest, QueueStatus);
#undef HANDRAIL_UNARY

  grpc::ServerWriteReactor<v1::WatchNoticesResponse>* WatchNotices(
      grpc::CallbackServerContext* context, const v1::WatchNoticesRequest* request) override;

 private:
  const HandlerContext in_;
  CareStore& care_;
  CareDesk& desk_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_CARE_HANDLER_H_

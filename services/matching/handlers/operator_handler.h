#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_OPERATOR_HANDLER_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_OPERATOR_HANDLER_H_

#include <functional>
#include <vector>

#include "common/rpc/edge.h"
#include "handrail/matching/v1/operator.grpc.pb.h"
#include "services/matching/domain/operator_desk.h"
#include "services/matching/domain/pool_drains.h"
#include "services/matching/domain/queue.h"
#include "services/matching/handlers/page_tokens.h"

namespace handrail::matching {

// Everything must outlive the handler.
struct OperatorHandlerContext {
  rpc::Edge& edge;
  OperatorLedger& operators;
  OperatorDesk& desk;
  PoolDrains& drains;
  Queue& queue;
  const PageTokens& pages;
  const Clock& clock;
  // The pools that the matcher knows, also those in which nobody waits.
  std::function<std::vector<PoolKey>()> known_pools;
  std::function<void(const Effects&)> sink;
};

class OperatorHandler final : public v1::OperatorService::CallbackService {
 public:
  explicit OperatorHandler(const OperatorHandlerContext& context) : in_(context) {}

#define HANDRAIL_UNARY(method, request_type, response_type)                                      \
  grpc::ServerUnaryReactor* method(grpc::CallbackServerContext* context,                         \
                                   const v1::request_type* request, v1::response_type* response) \
      override
  HANDRAIL_UNARY(ListPools, ListPoolsRequest, ListPoolsResponse);
  HANDRAIL_UNARY(ListOpenTickets, ListOpenTicketsRequest, ListOpenTicketsResponse);
  HANDRAIL_UNARY(ListOpenOffers, ListOpenOffersRequest, ListOpenOffersResponse);
  HANDRAIL_UNARY(ListSponsors, ListSponsorsRequest, ListSponsorsResponse);
  HANDRAIL_UNARY(ExplainTicket, ExplainTicketRequest, TicketExplanation);
  HANDRAIL_UNARY(RequeueTicket, RequeueTicketRequest, OpenTicket);
  HANDRAIL_UNARY(BoostTicket, BoostTicketRequest, OpenTicket);
  HANDRAIL_UNARY(DrainSponsor, DrainSponsorRequest, SponsorSeats);
  HANDRAIL_UNARY(DrainPool, DrainPoolRequest, DrainPoolResponse);
  HANDRAIL_UNARY(ResumePool, ResumePoolRequest, Pool);
  HANDRAIL_UNARY(ListOperatorActions, ListOperatorActionsRequest, ListOperatorActionsResponse);
  HANDRAIL_UNARY(VerifyOperatorActions, VerifyOperatorActionsRequest,
                 VerifyOperatorActionsResponse);
#undef HANDRAIL_UNARY

 private:
  // Pools with somebody in them and those that the matcher knows, by name.
  absl::StatusOr<std::vector<PoolReport>> AllPools(absl::Time deadline);
  // Adds what the queues say; -1 for whatever they do not.
  void FillDepth(const PoolKey& pool, bool& queue_answers, v1::Pool* out);
  absl::Status FillPoolNow(const Call& call, const PoolKey& pool, v1::Pool* out);

  const OperatorHandlerContext in_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_OPERATOR_HANDLER_H_

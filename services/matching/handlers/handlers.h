#ifndef HANDRAIL_SERVICES_MATCHING_HANDLERS_HANDLERS_H_
#define HANDRAIL_SERVICES_MATCHING_HANDLERS_HANDLERS_H_

#include "common/rpc/authenticator.h"
#include "common/rpc/edge.h"
#include "common/rpc/stream_writer.h"
#include "handrail/matching/v1/matching.grpc.pb.h"
#include "handrail/matching/v1/member_sync.grpc.pb.h"
#include "handrail/matching/v1/program_service.grpc.pb.h"
#include "services/matching/domain/ledger.h"
#include "services/matching/domain/member_sync.h"
#include "services/matching/domain/ticket_desk.h"
#include "services/matching/domain/watch_hub.h"
#include "services/matching/handlers/page_tokens.h"
#include "services/matching/handlers/voices.h"

// The API of matching: proto in, domain, proto out.
namespace handrail::matching {

// Everything must outlive the handlers.
struct HandlerContext {
  rpc::Edge& edge;
  rpc::StreamEnvironment streams;
  Ledger& ledger;
  TicketDesk& desk;
  MemberSync& sync;
  WatchHub& hub;
  const PageTokens& pages;
  const Clock& clock;
  std::function<void(const Effects&)> sink;
  // Watches of a revoked device end at the next wake-up or sweep.
  const rpc::RevocationSet& revocations;
  const Voices& voices;
};

class ProgramHandler final : public v1::ProgramService::CallbackService {
 public:
  // `table` must outlive the handler.
  ProgramHandler(rpc::Edge& edge, const v1::ProgramTable& table) : edge_(edge), table_(table) {}

  grpc::ServerUnaryReactor* ListPrograms(grpc::CallbackServerContext* context,
                                         const v1::ListProgramsRequest* request,
                                         v1::ListProgramsResponse* response) override;

 private:
  rpc::Edge& edge_;
  const v1::ProgramTable& table_;
};

class MatchingHandler final : public v1::MatchingService::CallbackService {
 public:
  explicit MatchingHandler(const HandlerContext& context) : in_(context) {}

#define HANDRAIL_UNARY(method, request_type, response_type)                                      \
  grpc::ServerUnaryReactor* method(grpc::CallbackServerContext* context,                         \
                                   const v1::request_type* request, v1::response_type* response) \
      override
  HANDRAIL_UNARY(RequestMatch, RequestMatchRequest, Ticket);
  HANDRAIL_UNARY(GetTicket, GetTicketRequest, Ticket);
  HANDRAIL_UNARY(ListTickets, ListTicketsRequest, ListTicketsResponse);
  HANDRAIL_UNARY(CancelTicket, CancelTicketRequest, Ticket);
  HANDRAIL_UNARY(GetAvailability, GetAvailabilityRequest, Availability);
  HANDRAIL_UNARY(SetAvailability, SetAvailabilityRequest, Availability);
  HANDRAIL_UNARY(ListOffers, ListOffersRequest, ListOffersResponse);
  HANDRAIL_UNARY(AcceptOffer, AcceptOfferRequest, Pairing);
  HANDRAIL_UNARY(DeclineOffer, DeclineOfferRequest, Offer);
  HANDRAIL_UNARY(GetPairing, GetPairingRequest, Pairing);
  HANDRAIL_UNARY(ListPairings, ListPairingsRequest, ListPairingsResponse);
  HANDRAIL_UNARY(ConfirmContact, ConfirmContactRequest, Pairing);
  HANDRAIL_UNARY(PausePairing, PausePairingRequest, Pairing);
  HANDRAIL_UNARY(ResumePairing, ResumePairingRequest, Pairing);
  HANDRAIL_UNARY(EndPairing, EndPairingRequest, Pairing);
#undef HANDRAIL_UNARY

  grpc::ServerWriteReactor<v1::WatchTicketResponse>* WatchTicket(
      grpc::CallbackServerContext* context, const v1::WatchTicketRequest* request) override;
  grpc::ServerWriteReactor<v1::WatchOffersResponse>* WatchOffers(
      grpc::CallbackServerContext* context, const v1::WatchOffersRequest* request) override;

 private:
  using Asked = std::vector<Language>;  // the languages that a call asks for
  // A ticket of the caller with all that the API tells of it.
  absl::Status ReadTicket(const Call& call, const TicketId& id, const Asked& asked,
                          v1::Ticket* out);
  absl::Status FillTicket(const Call& call, const Ticket& ticket, const Asked& asked,
                          v1::Ticket* out);
  // Answers with the value, and passes the effects on.
  template <typename T, typename Response>
  absl::Status Answer(absl::StatusOr<Changed<T>> changed, Response* response);

  const HandlerContext in_;
};

class MemberSyncHandler final : public v1::MemberSyncService::CallbackService {
 public:
  explicit MemberSyncHandler(const HandlerContext& context) : in_(context) {}

  grpc::ServerUnaryReactor* ApplyMembers(grpc::CallbackServerContext* context,
                                         const v1::ApplyMembersRequest* request,
                                         v1::ApplyMembersResponse* response) override;
  grpc::ServerUnaryReactor* ApplyBlock(grpc::CallbackServerContext* context,
                                       const v1::ApplyBlockRequest* request,
                                       v1::ApplyBlockResponse* response) override;

 private:
  const HandlerContext in_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_HANDLERS_HANDLERS_H_

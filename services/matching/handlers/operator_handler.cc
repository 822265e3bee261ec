#include "services/matching/handlers/operator_handler.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/handlers/operator_proto.h"

namespace handrail::matching {
namespace {

constexpr absl::Duration kQueueTimeout = absl::Milliseconds(500);

std::string CountDetail(size_t count) { return absl::StrCat(count, " rows"); }

PageStart StartAt(const RawId& id) { return {absl::UnixEpoch(), id}; }

// The end of a page as a place to begin: page tokens know time and id.
Page<PageStart> EndOf(PageStart last, bool more) { return {{last}, more}; }

}  // namespace

absl::StatusOr<std::vector<PoolReport>> OperatorHandler::AllPools(absl::Time deadline) {
  ASSIGN_OR_RETURN(const std::vector<PoolReport> reports,
                   in_.operators.ReportPools(deadline, in_.clock.Now()));
  std::map<PoolId, PoolReport> pools;
  for (const PoolReport& report : reports) pools[report.id] = report;
  for (const PoolKey& key : in_.known_pools()) {
    const PoolId id = in_.operators.IdOf(key);
    PoolReport empty;
    empty.id = id;
    empty.key = key;
    pools.emplace(id, std::move(empty));
  }
  std::vector<PoolReport> all;
  for (auto& [id, pool] : pools) all.push_back(std::move(pool));
  return all;
}

void OperatorHandler::FillDepth(const PoolKey& pool, bool& queue_answers, v1::Pool* out) {
  out->set_available_sponsors(-1);
  out->set_queued_tickets(-1);
  if (!queue_answers) return;
  const auto depth = in_.queue.ReadDepth(in_.clock.Now() + kQueueTimeout, pool);
  queue_answers = depth.ok();
  if (!depth.ok()) return;
  out->set_available_sponsors(depth->available);
  out->set_queued_tickets(depth->waiting);
}

absl::Status OperatorHandler::FillPoolNow(const Call& call, const PoolKey& pool, v1::Pool* out) {
  ASSIGN_OR_RETURN(const PoolReport report,
                   in_.operators.ReportPool(call.deadline, in_.clock.Now(), pool));
  PoolToProto(report, out);
  bool queue_answers = true;
  FillDepth(pool, queue_answers, out);
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* OperatorHandler::ListPools(grpc::CallbackServerContext* context,
                                                     const v1::ListPoolsRequest* request,
                                                     v1::ListPoolsResponse* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::ListPoolsRequest& request,
             v1::ListPoolsResponse* response) {
        return in_.desk.Read(call, "", [&]() -> absl::StatusOr<std::string> {
          ASSIGN_OR_RETURN(const auto page,
                           in_.pages.Read(call, "", request.page_size(), request.page_token()));
          ASSIGN_OR_RETURN(const std::vector<PoolReport> pools, AllPools(call.deadline));
          const RawId start = page.after.has_value() ? page.after->id : RawId();
          bool queue_answers = true;
          RawId last;
          bool more = false;
          for (const PoolReport& pool : pools) {
            if (page.after.has_value() && static_cast<const RawId&>(pool.id) <= start) continue;
            more = response->pools_size() == page.limit;
            if (more) break;
            v1::Pool* out = response->add_pools();
            PoolToProto(pool, out);
            FillDepth(pool.key, queue_answers, out);
            last = pool.id;
          }
          response->set_next_page_token(in_.pages.Write(call, "", EndOf(StartAt(last), more)));
          return CountDetail(static_cast<size_t>(response->pools_size()));
        });
      });
}

grpc::ServerUnaryReactor* OperatorHandler::ListOpenTickets(
    grpc::CallbackServerContext* context, const v1::ListOpenTicketsRequest* request,
    v1::ListOpenTicketsResponse* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::ListOpenTicketsRequest& request,
             v1::ListOpenTicketsResponse* response) {
        return in_.desk.Read(call, request.pool(), [&]() -> absl::StatusOr<std::string> {
          const TicketState state = request.state() == v1::TICKET_STATE_UNSPECIFIED
                                        ? TicketState::kWaiting
                                        : static_cast<TicketState>(request.state());
          if (!IsOpen(state)) {
            return Error(absl::StatusCode::kInvalidArgument, reason::kFieldInvalid)
                .Message("only open tickets are listed")
                .Field("state", "must be WAITING or OFFERED")
                .ToStatus();
          }
          ASSIGN_OR_RETURN(const PoolId id, PoolId::FromName(request.pool()));
          ASSIGN_OR_RETURN(const PoolKey pool, in_.operators.KeyOf(id));
          const std::string filter = absl::StrCat(request.pool(), " ", static_cast<int>(state));
          ASSIGN_OR_RETURN(const auto page,
                           in_.pages.Read(call, filter, request.page_size(), request.page_token()));
          ASSIGN_OR_RETURN(
              const Page<OpenTicketReport> tickets,
              in_.operators.ListOpenTickets(call.deadline, pool, state, page.limit, page.after));
          for (const OpenTicketReport& ticket : tickets.items) {
            OpenTicketToProto(ticket, response->add_tickets());
          }
          if (tickets.more) {
            const TicketChange& last = tickets.items.back().ticket;
            response->set_next_page_token(
                in_.pages.Write(call, filter, EndOf({last.create_time, last.ticket}, true)));
          }
          return CountDetail(tickets.items.size());
        });
      });
}

grpc::ServerUnaryReactor* OperatorHandler::ListOpenOffers(grpc::CallbackServerContext* context,
                                                          const v1::ListOpenOffersRequest* request,
                                                          v1::ListOpenOffersResponse* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::ListOpenOffersRequest& request,
             v1::ListOpenOffersResponse* response) {
        return in_.desk.Read(call, request.pool(), [&]() -> absl::StatusOr<std::string> {
          ASSIGN_OR_RETURN(const PoolId id, PoolId::FromName(request.pool()));
          ASSIGN_OR_RETURN(const PoolKey pool, in_.operators.KeyOf(id));
          ASSIGN_OR_RETURN(
              const auto page,
              in_.pages.Read(call, request.pool(), request.page_size(), request.page_token()));
          ASSIGN_OR_RETURN(
              const Page<OpenOfferReport> offers,
              in_.operators.ListOpenOffers(call.deadline, pool, page.limit, page.after));
          for (const OpenOfferReport& offer : offers.items) {
            OpenOfferToProto(offer, response->add_offers());
          }
          response->set_next_page_token(in_.pages.Write(call, request.pool(), offers));
          return CountDetail(offers.items.size());
        });
      });
}

grpc::ServerUnaryReactor* OperatorHandler::ListSponsors(grpc::CallbackServerContext* context,
                                                        const v1::ListSponsorsRequest* request,
                                                        v1::ListSponsorsResponse* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::ListSponsorsRequest& request,
             v1::ListSponsorsResponse* response) {
        return in_.desk.Read(call, "", [&]() -> absl::StatusOr<std::string> {
          ASSIGN_OR_RETURN(const auto page,
                           in_.pages.Read(call, "", request.page_size(), request.page_token()));
          ASSIGN_OR_RETURN(const Page<SponsorReport> sponsors,
                           in_.operators.ListSponsors(call.deadline, page.limit, page.after));
          for (const SponsorReport& sponsor : sponsors.items) {
            SponsorToProto(sponsor, response->add_sponsors());
          }
          if (sponsors.more) {
            const RawId& last = sponsors.items.back().seats.availability.sponsor;
            response->set_next_page_token(in_.pages.Write(call, "", EndOf(StartAt(last), true)));
          }
          return CountDetail(sponsors.items.size());
        });
      });
}

grpc::ServerUnaryReactor* OperatorHandler::ExplainTicket(grpc::CallbackServerContext* context,
                                                         const v1::ExplainTicketRequest* request,
                                                         v1::TicketExplanation* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::ExplainTicketRequest& request,
             v1::TicketExplanation* response) {
        return in_.desk.Read(call, request.name(), [&]() -> absl::StatusOr<std::string> {
          ASSIGN_OR_RETURN(const TicketId id, TicketId::FromName(request.name()));
          ASSIGN_OR_RETURN(const TicketReport report, in_.desk.Explain(call, id));
          ExplanationToProto(report, response);
          return std::string(report.situation.complete ? "complete" : "in part");
        });
      });
}

grpc::ServerUnaryReactor* OperatorHandler::RequeueTicket(grpc::CallbackServerContext* context,
                                                         const v1::RequeueTicketRequest* request,
                                                         v1::OpenTicket* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::RequeueTicketRequest& request,
                               v1::OpenTicket* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const TicketId id, TicketId::FromName(request.name()));
                          const auto changed = in_.operators.Requeue(call, in_.clock.Now(), id);
                          RETURN_IF_ERROR(in_.desk.Written(call, request.name(), changed.status()));
                          in_.sink(changed->effects);
                          OpenTicketToProto(changed->value, response);
                          return absl::OkStatus();
                        });
}

grpc::ServerUnaryReactor* OperatorHandler::BoostTicket(grpc::CallbackServerContext* context,
                                                       const v1::BoostTicketRequest* request,
                                                       v1::OpenTicket* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::BoostTicketRequest& request,
                               v1::OpenTicket* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const TicketId id, TicketId::FromName(request.name()));
                          const auto changed = in_.operators.Boost(
                              call, in_.clock.Now(), id, request.boost_percent(),
                              static_cast<BoostReason>(request.reason()));
                          RETURN_IF_ERROR(in_.desk.Written(call, request.name(), changed.status()));
                          in_.sink(changed->effects);
                          OpenTicketToProto(changed->value, response);
                          return absl::OkStatus();
                        });
}

grpc::ServerUnaryReactor* OperatorHandler::DrainSponsor(grpc::CallbackServerContext* context,
                                                        const v1::DrainSponsorRequest* request,
                                                        v1::SponsorSeats* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::DrainSponsorRequest& request,
             v1::SponsorSeats* response) -> absl::Status {
        ASSIGN_OR_RETURN(const MemberId id, MemberId::FromName(request.member()));
        const auto changed = in_.operators.DrainSponsor(call, in_.clock.Now(), id,
                                                        request.withdraw_offers()
                                                            ? OperatorLedger::OpenOffers::kWithdraw
                                                            : OperatorLedger::OpenOffers::kKeep);
        RETURN_IF_ERROR(in_.desk.Written(call, request.member(), changed.status()));
        in_.sink(changed->effects);
        SponsorToProto(changed->value, response);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* OperatorHandler::DrainPool(grpc::CallbackServerContext* context,
                                                     const v1::DrainPoolRequest* request,
                                                     v1::DrainPoolResponse* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::DrainPoolRequest& request,
                               v1::DrainPoolResponse* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const PoolId id, PoolId::FromName(request.name()));
                          const auto pool = in_.operators.KeyOf(id);
                          RETURN_IF_ERROR(in_.desk.Written(call, request.name(), pool.status()));
                          const auto changed = in_.operators.DrainPool(
                              call, in_.clock.Now(), *pool, absl::Minutes(request.minutes()));
                          RETURN_IF_ERROR(in_.desk.Written(call, request.name(), changed.status()));
                          // The matcher knows of the drain before it hears of the tickets that wait
                          // again.
                          in_.drains.Refresh().IgnoreError();
                          in_.sink(changed->effects);
                          response->set_withdrawn(static_cast<int32_t>(changed->value));
                          return FillPoolNow(call, *pool, response->mutable_pool());
                        });
}

grpc::ServerUnaryReactor* OperatorHandler::ResumePool(grpc::CallbackServerContext* context,
                                                      const v1::ResumePoolRequest* request,
                                                      v1::Pool* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::ResumePoolRequest& request,
                               v1::Pool* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const PoolId id, PoolId::FromName(request.name()));
                          const auto pool = in_.operators.KeyOf(id);
                          RETURN_IF_ERROR(in_.desk.Written(call, request.name(), pool.status()));
                          const auto effects =
                              in_.operators.ResumePool(call, in_.clock.Now(), *pool);
                          RETURN_IF_ERROR(in_.desk.Written(call, request.name(), effects.status()));
                          in_.drains.Refresh().IgnoreError();
                          in_.sink(*effects);
                          return FillPoolNow(call, *pool, response);
                        });
}

grpc::ServerUnaryReactor* OperatorHandler::ListOperatorActions(
    grpc::CallbackServerContext* context, const v1::ListOperatorActionsRequest* request,
    v1::ListOperatorActionsResponse* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::ListOperatorActionsRequest& request,
             v1::ListOperatorActionsResponse* response) {
        return in_.desk.Read(call, request.operator_(), [&]() -> absl::StatusOr<std::string> {
          std::optional<MemberId> who;
          if (!request.operator_().empty()) {
            ASSIGN_OR_RETURN(who, MemberId::FromName(request.operator_()));
          }
          ASSIGN_OR_RETURN(
              const auto page,
              in_.pages.Read(call, request.operator_(), request.page_size(), request.page_token()));
          // A page begins where its sequence, carried in the token's time, says.
          const int64_t before = page.after.has_value()
                                     ? absl::ToUnixMicros(page.after->create_time)
                                     : std::numeric_limits<int64_t>::max();
          ASSIGN_OR_RETURN(const Page<OperatorAction> actions,
                           in_.operators.ListActions(call.deadline, who, page.limit, before));
          for (const OperatorAction& action : actions.items) {
            ActionToProto(action, response->add_actions());
          }
          if (actions.more) {
            const absl::Time last = absl::FromUnixMicros(actions.items.back().sequence);
            response->set_next_page_token(
                in_.pages.Write(call, request.operator_(), EndOf({last, RawId()}, true)));
          }
          return CountDetail(actions.items.size());
        });
      });
}

grpc::ServerUnaryReactor* OperatorHandler::VerifyOperatorActions(
    grpc::CallbackServerContext* context, const v1::VerifyOperatorActionsRequest* request,
    v1::VerifyOperatorActionsResponse* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::VerifyOperatorActionsRequest& request,
             v1::VerifyOperatorActionsResponse* response) {
        return in_.desk.Read(call, "", [&]() -> absl::StatusOr<std::string> {
          const KnownSeal known{request.known_sequence(),
                                absl::HexStringToBytes(request.known_seal())};
          ASSIGN_OR_RETURN(const AuditReport report,
                           in_.operators.VerifyActions(call.deadline, known));
          AuditToProto(report, response);
          if (!report.whole) return absl::StrCat("broken at ", report.first_broken);
          return std::string(report.known_found ? "whole" : "whole, known row not found");
        });
      });
}

}  // namespace handrail::matching

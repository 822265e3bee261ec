#include <utility>

#include "common/base/status.h"
#include "services/matching/handlers/candidate_proto.h"
#include "services/matching/handlers/care_proto.h"
#include "services/matching/handlers/handlers.h"
#include "services/matching/handlers/ticket_proto.h"
#include "services/matching/handlers/traits_proto.h"

namespace handrail::matching {
namespace {

// Beyond this many the place in the queue is only "hundreds".
constexpr int kWaitingCountLimit = 1000;

void Fill(const Ticket& ticket, v1::Ticket* out) { TicketToProto(ticket, 0, out); }
void Fill(const Pairing& pairing, v1::Pairing* out) { PairingToProto(pairing, out); }
void Fill(const Availability& seats, v1::Availability* out) { AvailabilityToProto(seats, out); }

}  // namespace

absl::Status MatchingHandler::FillTicket(const Call& call, const Ticket& ticket, const Asked& asked,
                                         v1::Ticket* out) {
  std::optional<Offer> offer;
  int64_t ahead = 0;
  if (ticket.state == TicketState::kOffered) {
    ASSIGN_OR_RETURN(offer, in_.ledger.FindOpenOffer(call, ticket.id));
  } else if (ticket.state == TicketState::kWaiting) {
    ASSIGN_OR_RETURN(ahead, in_.ledger.CountWaitingBefore(call.deadline, ticket.pool,
                                                          ticket.create_time, kWaitingCountLimit));
  }
  TicketToProto(ticket, ahead, out);
  if (offer.has_value()) ShowOffer(*offer, in_.voices.For(call, asked), out);
  return absl::OkStatus();
}

absl::Status MatchingHandler::ReadTicket(const Call& call, const TicketId& id, const Asked& asked,
                                         v1::Ticket* out) {
  ASSIGN_OR_RETURN(const Ticket ticket, in_.ledger.GetTicket(call, id));
  return FillTicket(call, ticket, asked, out);
}

template <typename T, typename Response>
absl::Status MatchingHandler::Answer(absl::StatusOr<Changed<T>> changed, Response* response) {
  RETURN_IF_ERROR(changed.status());
  in_.sink(changed->effects);
  Fill(changed->value, response);
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* MatchingHandler::RequestMatch(grpc::CallbackServerContext* context,
                                                        const v1::RequestMatchRequest* request,
                                                        v1::Ticket* response) {
  return in_.edge.UnaryAsync(
      context, request, response,
      [this](const Call& call, const v1::RequestMatchRequest& request, v1::Ticket* response,
             std::function<void(absl::Status)> done) {
        auto importance = ImportanceFromProto(request.emphases());
        if (!importance.ok()) {
          done(importance.status());
          return;
        }
        TicketDesk::Wish wish;
        wish.relationship_type = static_cast<RelationshipType>(request.relationship_type());
        wish.philosophy = static_cast<Philosophy>(request.philosophy());
        wish.choosing = request.mode() == v1::MATCH_MODE_LET_ME_CHOOSE;
        wish.importance = *importance;
        wish.temporary_contact_while_waiting = request.temporary_contact_while_waiting();
        in_.desk.RequestMatch(call, wish,
                              [response, done = std::move(done)](absl::StatusOr<Ticket> ticket) {
                                if (ticket.ok()) Fill(*ticket, response);
                                done(ticket.status());
                              });
      });
}

grpc::ServerUnaryReactor* MatchingHandler::GetTicket(grpc::CallbackServerContext* context,
                                                     const v1::GetTicketRequest* request,
                                                     v1::Ticket* response) {
  return in_.edge.Unary(
      context, request, response,
      [this, asked = LanguagesOf(*context)](const Call& call, const v1::GetTicketRequest& request,
                                            v1::Ticket* response) -> absl::Status {
        ASSIGN_OR_RETURN(const TicketId id, TicketId::FromName(request.name()));
        return ReadTicket(call, id, asked, response);
      });
}

grpc::ServerUnaryReactor* MatchingHandler::ListTickets(grpc::CallbackServerContext* context,
                                                       const v1::ListTicketsRequest* request,
                                                       v1::ListTicketsResponse* response) {
  return in_.edge.Unary(
      context, request, response,
      [this, asked = LanguagesOf(*context)](const Call& call, const v1::ListTicketsRequest& request,
                                            v1::ListTicketsResponse* response) -> absl::Status {
        ASSIGN_OR_RETURN(const auto page,
                         in_.pages.Read(call, "", request.page_size(), request.page_token()));
        ASSIGN_OR_RETURN(const Page<Ticket> tickets,
                         in_.ledger.ListTickets(call, page.limit, page.after));
        for (const Ticket& ticket : tickets.items) {
          RETURN_IF_ERROR(FillTicket(call, ticket, asked, response->add_tickets()));
        }
        response->set_next_page_token(in_.pages.Write(call, "", tickets));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* MatchingHandler::CancelTicket(grpc::CallbackServerContext* context,
                                                        const v1::CancelTicketRequest* request,
                                                        v1::Ticket* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::CancelTicketRequest& request,
                               v1::Ticket* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const TicketId id, TicketId::FromName(request.name()));
                          return Answer(in_.ledger.CancelTicket(call, in_.clock.Now(), id),
                                        response);
                        });
}

grpc::ServerUnaryReactor* MatchingHandler::GetAvailability(
    grpc::CallbackServerContext* context, const v1::GetAvailabilityRequest* request,
    v1::Availability* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::GetAvailabilityRequest&,
                               v1::Availability* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const Availability availability,
                                           in_.ledger.GetAvailability(call));
                          Fill(availability, response);
                          return absl::OkStatus();
                        });
}

grpc::ServerUnaryReactor* MatchingHandler::SetAvailability(
    grpc::CallbackServerContext* context, const v1::SetAvailabilityRequest* request,
    v1::Availability* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::SetAvailabilityRequest& request,
                               v1::Availability* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const AvailabilityWish wish,
                                           AvailabilityWishFromProto(request, in_.clock.Now()));
                          auto changed = in_.ledger.SetAvailability(call, in_.clock.Now(), wish);
                          if ((HasReason(changed.status(), reason::kSponsorProfileRequired) ||
                               HasReason(changed.status(), reason::kConsentRequired)) &&
                              in_.desk.FetchMember(call.deadline, call.who.member).ok()) {
                            // What the caller has just told profiles was still on its way.
                            changed = in_.ledger.SetAvailability(call, in_.clock.Now(), wish);
                          }
                          return Answer(std::move(changed), response);
                        });
}

grpc::ServerUnaryReactor* MatchingHandler::ListOffers(grpc::CallbackServerContext* context,
                                                      const v1::ListOffersRequest* request,
                                                      v1::ListOffersResponse* response) {
  return in_.edge.Unary(
      context, request, response,
      [this, asked = LanguagesOf(*context)](const Call& call, const v1::ListOffersRequest& request,
                                            v1::ListOffersResponse* response) -> absl::Status {
        const char* filter = request.include_closed() ? "all" : "open";
        ASSIGN_OR_RETURN(const auto page,
                         in_.pages.Read(call, filter, request.page_size(), request.page_token()));
        ASSIGN_OR_RETURN(
            const Page<Offer> offers,
            in_.ledger.ListOffers(call, request.include_closed(), page.limit, page.after));
        const Voice voice = in_.voices.For(call, asked);
        for (const Offer& offer : offers.items) OfferToProto(offer, voice, response->add_offers());
        response->set_next_page_token(in_.pages.Write(call, filter, offers));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* MatchingHandler::AcceptOffer(grpc::CallbackServerContext* context,
                                                       const v1::AcceptOfferRequest* request,
                                                       v1::Pairing* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::AcceptOfferRequest& request,
                               v1::Pairing* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const OfferId id, OfferId::FromName(request.name()));
                          return Answer(in_.ledger.AcceptOffer(call, in_.clock.Now(), id),
                                        response);
                        });
}

grpc::ServerUnaryReactor* MatchingHandler::DeclineOffer(grpc::CallbackServerContext* context,
                                                        const v1::DeclineOfferRequest* request,
                                                        v1::Offer* response) {
  return in_.edge.Unary(context, request, response,
                        [this, asked = LanguagesOf(*context)](
                            const Call& call, const v1::DeclineOfferRequest& request,
                            v1::Offer* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const OfferId id, OfferId::FromName(request.name()));
                          ASSIGN_OR_RETURN(const Changed<Offer> changed,
                                           in_.ledger.DeclineOffer(call, in_.clock.Now(), id));
                          in_.sink(changed.effects);
                          OfferToProto(changed.value, in_.voices.For(call, asked), response);
                          return absl::OkStatus();
                        });
}

grpc::ServerUnaryReactor* MatchingHandler::GetPairing(grpc::CallbackServerContext* context,
                                                      const v1::GetPairingRequest* request,
                                                      v1::Pairing* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::GetPairingRequest& request,
                               v1::Pairing* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const PairingId id, PairingId::FromName(request.name()));
                          ASSIGN_OR_RETURN(const Pairing pairing, in_.ledger.GetPairing(call, id));
                          Fill(pairing, response);
                          return absl::OkStatus();
                        });
}

grpc::ServerUnaryReactor* MatchingHandler::ListPairings(grpc::CallbackServerContext* context,
                                                        const v1::ListPairingsRequest* request,
                                                        v1::ListPairingsResponse* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::ListPairingsRequest& request,
                               v1::ListPairingsResponse* response) -> absl::Status {
                          ASSIGN_OR_RETURN(
                              const auto page,
                              in_.pages.Read(call, "", request.page_size(), request.page_token()));
                          ASSIGN_OR_RETURN(const Page<Pairing> pairings,
                                           in_.ledger.ListPairings(call, page.limit, page.after));
                          for (const Pairing& pairing : pairings.items)
                            Fill(pairing, response->add_pairings());
                          response->set_next_page_token(in_.pages.Write(call, "", pairings));
                          return absl::OkStatus();
                        });
}

grpc::ServerUnaryReactor* MatchingHandler::ConfirmContact(grpc::CallbackServerContext* context,
                                                          const v1::ConfirmContactRequest* request,
                                                          v1::Pairing* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::ConfirmContactRequest& request,
                               v1::Pairing* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const PairingId id, PairingId::FromName(request.name()));
                          return Answer(in_.ledger.ConfirmContact(call, in_.clock.Now(), id),
                                        response);
                        });
}

grpc::ServerUnaryReactor* MatchingHandler::PausePairing(grpc::CallbackServerContext* context,
                                                        const v1::PausePairingRequest* request,
                                                        v1::Pairing* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::PausePairingRequest& request,
                               v1::Pairing* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const PairingId id, PairingId::FromName(request.name()));
                          return Answer(in_.ledger.PausePairing(call, in_.clock.Now(), id),
                                        response);
                        });
}

grpc::ServerUnaryReactor* MatchingHandler::ResumePairing(grpc::CallbackServerContext* context,
                                                         const v1::ResumePairingRequest* request,
                                                         v1::Pairing* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::ResumePairingRequest& request,
                               v1::Pairing* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const PairingId id, PairingId::FromName(request.name()));
                          return Answer(in_.ledger.ResumePairing(call, in_.clock.Now(), id),
                                        response);
                        });
}

grpc::ServerUnaryReactor* MatchingHandler::EndPairing(grpc::CallbackServerContext* context,
                                                      const v1::EndPairingRequest* request,
                                                      v1::Pairing* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::EndPairingRequest& request,
                               v1::Pairing* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const PairingId id, PairingId::FromName(request.name()));
                          return Answer(
                              in_.ledger.EndPairing(call, in_.clock.Now(), id,
                                                    static_cast<EndReason>(request.reason())),
                              response);
                        });
}

grpc::ServerUnaryReactor* MemberSyncHandler::ApplyMembers(grpc::CallbackServerContext* context,
                                                          const v1::ApplyMembersRequest* request,
                                                          v1::ApplyMembersResponse* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::ApplyMembersRequest& request,
                               v1::ApplyMembersResponse*) -> absl::Status {
                          for (const common::v1::MemberSnapshot& snapshot : request.members()) {
                            ASSIGN_OR_RETURN(const MemberTraits member,
                                             MemberTraitsFromProto(snapshot));
                            RETURN_IF_ERROR(in_.sync.ApplyMember(call.deadline, member));
                          }
                          return absl::OkStatus();
                        });
}

grpc::ServerUnaryReactor* MemberSyncHandler::ApplyBlock(grpc::CallbackServerContext* context,
                                                        const v1::ApplyBlockRequest* request,
                                                        v1::ApplyBlockResponse* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::ApplyBlockRequest& request,
             v1::ApplyBlockResponse*) -> absl::Status {
        ASSIGN_OR_RETURN(const BlockId id, BlockId::FromName(request.block().name()));
        ASSIGN_OR_RETURN(const MemberId blocker, MemberId::FromName(request.block().blocker()));
        ASSIGN_OR_RETURN(const MemberId blocked, MemberId::FromName(request.block().blocked()));
        return in_.sync.ApplyBlock(call.deadline, id, blocker, blocked);
      });
}

}  // namespace handrail::matching

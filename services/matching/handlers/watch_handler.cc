#include <memory>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "services/matching/domain/offer_news.h"
#include "services/matching/handlers/handlers.h"
#include "services/matching/handlers/ticket_proto.h"
#include "services/matching/handlers/watch_stream.h"

// The streams. Each event is the thing as it is now, so a wake-up that is lost or doubled costs
// nothing.
namespace handrail::matching {

grpc::ServerWriteReactor<v1::WatchTicketResponse>* MatchingHandler::WatchTicket(
    grpc::CallbackServerContext* context, const v1::WatchTicketRequest* request) {
  using Response = v1::WatchTicketResponse;
  auto admitted = in_.edge.AdmitStream(context, *request);
  if (!admitted.ok()) return rpc::RefuseStream<Response>(admitted.status());
  const auto id = TicketId::FromName(request->name());
  if (!id.ok()) return rpc::RefuseStream<Response>(id.status());

  const std::string topic = WatchHub::TopicOf(*id);
  auto end = std::make_shared<WatchEnd>(in_.hub);
  auto stream = rpc::StreamWriter<Response>::Open(
      in_.streams, context, OptionsFor<Response>(std::move(admitted->slot), in_.hub, topic, end));
  auto sent = std::make_shared<std::string>();
  const auto refresh = [this, stream, sent, id = *id, call = admitted->call,
                        asked = LanguagesOf(*context)]() -> bool {
    if (stream->IsClosed()) return false;
    if (in_.revocations.IsRevoked(call.who.device)) {
      stream->Close(RevokedError());
      return false;
    }
    Call read = call;
    read.deadline = in_.clock.Now() + kWatchReadTimeout;
    Response response;
    if (const absl::Status status = ReadTicket(read, id, asked, response.mutable_ticket());
        !status.ok()) {
      if (IsTransient(status)) return true;
      stream->Close(status);
      return false;
    }
    const v1::Ticket& ticket = response.ticket();
    // After PAIRED the conversation follows within seconds, and is the last word.
    const bool last = ticket.state() == v1::TICKET_STATE_CANCELLED ||
                      ticket.state() == v1::TICKET_STATE_EXPIRED ||
                      (ticket.state() == v1::TICKET_STATE_PAIRED && !ticket.conversation().empty());
    std::string bytes = ticket.SerializeAsString();
    if (bytes != *sent) {
      if (!stream->TryWrite(std::move(response))) return !stream->IsClosed();
      *sent = std::move(bytes);
    }
    if (last) stream->Close();
    return !last;
  };
  end->Set(in_.hub.Start(topic, refresh));
  return stream->reactor();
}

grpc::ServerWriteReactor<v1::WatchOffersResponse>* MatchingHandler::WatchOffers(
    grpc::CallbackServerContext* context, const v1::WatchOffersRequest* request) {
  using Response = v1::WatchOffersResponse;
  auto admitted = in_.edge.AdmitStream(context, *request);
  if (!admitted.ok()) return rpc::RefuseStream<Response>(admitted.status());
  const std::string topic = WatchHub::TopicOf(admitted->call.who.member);
  auto end = std::make_shared<WatchEnd>(in_.hub);
  auto stream = rpc::StreamWriter<Response>::Open(
      in_.streams, context, OptionsFor<Response>(std::move(admitted->slot), in_.hub, topic, end));
  auto news = std::make_shared<OfferNews>();
  const auto refresh = [this, stream, news, call = admitted->call,
                        asked = LanguagesOf(*context)]() -> bool {
    if (stream->IsClosed()) return false;
    if (in_.revocations.IsRevoked(call.who.device)) {
      stream->Close(RevokedError());
      return false;
    }
    Call read = call;
    const absl::Time now = in_.clock.Now();
    read.deadline = now + kWatchReadTimeout;
    const auto changes =
        in_.ledger.ReadOfferChanges(read, news->LookBackTo(now),
                                    [&](const OfferVersion& offer) { return news->IsNews(offer); });
    if (!changes.ok()) {
      if (IsTransient(changes.status())) return true;
      stream->Close(changes.status());
      return false;
    }
    for (const Offer& offer : changes->wanted) {
      Response response;
      OfferToProto(offer, in_.voices.For(read, asked), response.mutable_offer());
      if (!stream->TryWrite(std::move(response))) return !stream->IsClosed();
      news->Told(offer.id, offer.version);
    }
    news->Looked(now, changes->all);
    return true;
  };
  end->Set(in_.hub.Start(topic, refresh));
  return stream->reactor();
}

}  // namespace handrail::matching

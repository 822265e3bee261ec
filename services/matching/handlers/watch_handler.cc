#include <map>
#include <memory>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "services/matching/handlers/handlers.h"
#include "services/matching/handlers/ticket_proto.h"

// The streams. Each event is the thing as it is now, so a wake-up that is lost or doubled costs
// nothing.
namespace handrail::matching {
namespace {

constexpr absl::Duration kReadTimeout = absl::Seconds(5);
// How long before the last read an offer may have been closed that it did not see: a write waits
// at most its deadline for the commit, and the clocks of replicas differ by less than a second.
constexpr absl::Duration kLookBack = absl::Seconds(35);
// Nearly all are committed within a moment: so far back looks every read, and only the first and
// one in `kLookBackInterval` all the way. Open offers are all read every time.
constexpr absl::Duration kShortLookBack = absl::Seconds(2);
constexpr absl::Duration kLookBackInterval = absl::Seconds(5);

absl::Status RevokedError() {
  return Error(absl::StatusCode::kUnauthenticated, reason::kTokenRevoked)
      .Message("the device was removed");
}

// Ends the watch with the stream, whichever of them is there first.
class WatchEnd {
 public:
  explicit WatchEnd(WatchHub& hub) : hub_(hub) {}
  void Set(std::shared_ptr<WatchHub::Watch> watch) {
    bool over = false;
    {
      MutexLock lock(mutex_);
      over = over_;
      watch_ = watch;
    }
    if (over) hub_.End(watch);
  }
  void End() {
    std::shared_ptr<WatchHub::Watch> watch;
    {
      MutexLock lock(mutex_);
      over_ = true;
      watch = std::move(watch_);
    }
    if (watch != nullptr) hub_.End(watch);
  }

 private:
  WatchHub& hub_;
  Mutex mutex_;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<WatchHub::Watch> watch_ ABSL_GUARDED_BY(mutex_);
};

template <typename Response>
rpc::StreamOptions<Response> OptionsFor(rpc::StreamSlot slot, WatchHub& hub,
                                        const std::string& topic,
                                        const std::shared_ptr<WatchEnd>& end) {
  rpc::StreamOptions<Response> options;
  options.slot = std::move(slot);
  options.ping = [] {
    Response response;
    response.mutable_ping();
    return response;
  };
  options.closing = [](rpc::StreamEnd, absl::Duration retry_after) {
    Response response;
    response.mutable_closing()->set_retry_after_ms(
        static_cast<int32_t>(absl::ToInt64Milliseconds(retry_after)));
    return response;
  };
  options.on_writable = [&hub, topic] { hub.WakeLocal(topic); };
  options.on_done = [end] { end->End(); };
  return options;
}

// What passes by itself: the stream stays, and the next sweep reads again.
bool IsTransient(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kDeadlineExceeded ||
         status.code() == absl::StatusCode::kResourceExhausted ||
         status.code() == absl::StatusCode::kAborted;
}

}  // namespace

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
  const auto refresh = [this, stream, sent, id = *id, call = admitted->call]() -> bool {
    if (stream->IsClosed()) return false;
    if (in_.revocations.IsRevoked(call.who.device)) {
      stream->Close(RevokedError());
      return false;
    }
    Call read = call;
    read.deadline = in_.clock.Now() + kReadTimeout;
    Response response;
    if (const absl::Status status = ReadTicket(read, id, response.mutable_ticket()); !status.ok()) {
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
  struct Seen {
    absl::Time looked = absl::InfinitePast();  // when a read last went all the way back
    std::map<OfferId, int64_t> versions;
  };
  auto seen = std::make_shared<Seen>();
  const auto refresh = [this, stream, seen, call = admitted->call]() -> bool {
    if (stream->IsClosed()) return false;
    if (in_.revocations.IsRevoked(call.who.device)) {
      stream->Close(RevokedError());
      return false;
    }
    Call read = call;
    const absl::Time now = in_.clock.Now();
    read.deadline = now + kReadTimeout;
    const auto is_news = [&seen](const OfferVersion& offer) {
      const auto known = seen->versions.find(offer.offer);
      // What is closed and was never shown here is not news.
      return known == seen->versions.end() ? IsOpen(offer.state) : offer.version > known->second;
    };
    const bool all_the_way = now - seen->looked >= kLookBackInterval;
    const absl::Time since = now - (all_the_way ? kLookBack : kShortLookBack);
    const auto changes = in_.ledger.ReadOfferChanges(read, since, is_news);
    if (!changes.ok()) {
      if (IsTransient(changes.status())) return true;
      stream->Close(changes.status());
      return false;
    }
    for (const Offer& offer : changes->wanted) {
      Response response;
      OfferToProto(offer, response.mutable_offer());
      if (!stream->TryWrite(std::move(response))) return !stream->IsClosed();
      seen->versions[offer.id] = offer.version;
    }
    if (all_the_way) {
      std::map<OfferId, int64_t> versions;
      for (const OfferVersion& offer : changes->all) {
        const auto known = seen->versions.find(offer.offer);
        const int64_t version = known == seen->versions.end() ? 0 : known->second;
        versions[offer.offer] = std::max(offer.version, version);
      }
      seen->versions = std::move(versions);  // forgets what has been closed for a while
      seen->looked = now;
    }
    return true;
  };
  end->Set(in_.hub.Start(topic, refresh));
  return stream->reactor();
}

}  // namespace handrail::matching

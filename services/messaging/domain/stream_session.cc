#include "services/messaging/domain/stream_session.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace handrail::messaging {
namespace {

const EnvelopePtr* AsEnvelope(const Event& event) { return std::get_if<EnvelopePtr>(&event); }
const WelcomePtr* AsWelcome(const Event& event) { return std::get_if<WelcomePtr>(&event); }

// What an event counts in the bounds of a queue.
size_t SizeOf(const Event& event) {
  if (const EnvelopePtr* envelope = AsEnvelope(event)) return (*envelope)->payload.size();
  if (const WelcomePtr* welcome = AsWelcome(event)) return (*welcome)->message.size();
  return 0;
}

// Whether a block takes it back.
bool IsContentOf(const Event& event, const ConversationId& conversation) {
  if (const EnvelopePtr* envelope = AsEnvelope(event)) {
    return (*envelope)->conversation == conversation;
  }
  const WelcomePtr* welcome = AsWelcome(event);
  return welcome != nullptr && (*welcome)->conversation == conversation;
}

// An envelope as it is told to who is not delivered what these have said.
EnvelopePtr Told(const EnvelopePtr& envelope, const std::vector<MemberId>& silenced) {
  if (!IsSilenced(*envelope, silenced)) return envelope;
  auto silent = std::make_shared<Envelope>(*envelope);
  silent->payload.clear();
  silent->franking.reset();
  return silent;
}

// Clients of a stream that may come back wait a little; the exact time is not important.
constexpr absl::Duration kRetryAfter = absl::Milliseconds(250);
// More conversations that are new at once are found by reading all.
constexpr size_t kUnknownLimit = 64;
// Acknowledgements of conversations that are not read yet: as many as a client may name at once.
constexpr size_t kEarlyLimit = 256;

}  // namespace

StreamSession::StreamSession(const DeviceId& device, absl::Span<const Cursor> cursors,
                             const Options& options, std::function<void()> wake,
                             std::function<void()> read)
    : device_(device), options_(options), wake_(std::move(wake)), read_(std::move(read)) {
  MutexLock lock(mutex_);
  for (const Cursor& cursor : cursors) {
    if (cursor.sequence == std::numeric_limits<int64_t>::max()) continue;
    Place& place = places_[cursor.conversation];
    place.next = cursor.sequence + 1;
    place.settled = cursor.sequence;
  }
  dirty_ = static_cast<int64_t>(places_.size());
}

int64_t StreamSession::generation() const {
  MutexLock lock(mutex_);
  return generation_;
}

void StreamSession::Start(int64_t generation) {
  bool read = false;
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    generation_ = generation;
    started_ = true;
    queue_.emplace_back(Started{generation});
    read = RequestRead();
  }
  wake_();
  if (read) read_();
}

std::vector<Event> StreamSession::Take(size_t max_events, size_t max_bytes) {
  std::vector<Event> events;
  bool read = false;
  {
    MutexLock lock(mutex_);
    size_t bytes = 0;
    while (!queue_.empty() && events.size() < max_events) {
      const size_t size = SizeOf(queue_.front());
      if (size > 0 && !events.empty() && bytes + size > max_bytes) break;
      bytes += size;
      events.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    queued_bytes_ -= bytes;
    read = RequestRead();
  }
  if (read) read_();
  return events;
}

std::vector<Cursor> StreamSession::Acknowledge(absl::Span<const Cursor> cursors) {
  std::vector<Cursor> ours;
  bool read = false;
  {
    MutexLock lock(mutex_);
    for (const Cursor& cursor : cursors) {
      const auto place = places_.find(cursor.conversation);
      if (place != places_.end()) Settle(place->second, cursor.sequence);
      if (place != places_.end() && place->second.seen) {
        ours.push_back(cursor);
      } else if (early_.size() < kEarlyLimit || early_.contains(cursor.conversation)) {
        int64_t& sequence = early_[cursor.conversation];
        sequence = std::max(sequence, cursor.sequence);
      }
    }
    read = RequestRead();
  }
  if (read) read_();
  return ours;
}

std::vector<Cursor> StreamSession::TakeEarly() {
  MutexLock lock(mutex_);
  return std::exchange(early_found_, {});
}

bool StreamSession::OnCommitted(const CommittedMessages& messages) {
  bool queued = false;
  bool read = false;
  {
    MutexLock lock(mutex_);
    if (closed_) return false;
    const auto found = places_.find(messages.conversation);
    if (found == places_.end() || !found->second.seen) {
      MarkDirty(messages.conversation);
    } else if (Place& place = found->second; place.deliverable) {
      for (const EnvelopePtr& envelope : messages.envelopes) {
        if (envelope->sequence < place.next) continue;
        if (envelope->sequence > place.next || !PushEnvelope(place, envelope)) {
          MarkDirty(messages.conversation);
          break;
        }
        queued = true;
      }
      NoteCaughtUp();
    }
    read = RequestRead();
  }
  if (queued) wake_();
  if (read) read_();
  return true;
}

void StreamSession::OnWakeUp(const ConversationId& conversation) {
  bool read = false;
  {
    MutexLock lock(mutex_);
    MarkDirty(conversation);
    look_ = true;
    read = RequestRead();
  }
  if (read) read_();
}

void StreamSession::OnGeneration(int64_t generation) {
  {
    MutexLock lock(mutex_);
    if (!started_ || closed_ || generation <= generation_) return;
    CloseLocked(ClosingCause::kReplaced);
  }
  wake_();
}

StreamSession::Lag StreamSession::CurrentLag() const {
  MutexLock lock(mutex_);
  return {queue_.size(), !closed_ && dirty_ > 0};
}

bool StreamSession::OnHeads(const StreamHeads& heads) {
  bool read = false;
  bool closed = false;
  bool news = false;
  {
    MutexLock lock(mutex_);
    if (!started_ || closed_) return false;
    if (heads.revoked || heads.generation > generation_) {
      CloseLocked(heads.revoked ? ClosingCause::kRevoked : ClosingCause::kReplaced);
      closed = true;
    }
    for (const StreamHeads::Head& head : heads.heads) {
      const auto place = places_.find(head.conversation);
      if (place == places_.end()) {
        news = news || !everything_;
        everything_ = look_ = true;
      } else if ((head.deliverable && head.readable_to >= place->second.next) ||
                 head.state != place->second.state || head.revision != place->second.revision ||
                 head.deliverable != place->second.deliverable) {
        news = news || !place->second.dirty;
        MarkDirty(head.conversation);
        look_ = true;
      }
    }
    // Acknowledgements may have come to another process.
    if (in_flight_ >= options_.window && dirty_ > 0) look_ = true;
    read = RequestRead();
  }
  if (closed) wake_();
  if (read) read_();
  return news;
}

void StreamSession::Close(ClosingCause cause) {
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    CloseLocked(cause);
  }
  wake_();
}

void StreamSession::CloseLocked(ClosingCause cause) {
  queue_.clear();
  queued_bytes_ = 0;
  queue_.emplace_back(
      Closing{cause, cause == ClosingCause::kDraining ? kRetryAfter : absl::ZeroDuration()});
  closed_ = true;
}

void StreamSession::Abandon() {
  MutexLock lock(mutex_);
  closed_ = true;
  queue_.clear();
  queued_bytes_ = 0;
}

bool StreamSession::HasRoom() const {
  return in_flight_ < options_.window && queued_bytes_ < options_.queued_bytes;
}

bool StreamSession::WantsRead() const {
  if (!started_ || closed_) return false;
  return look_ || !first_read_done_ ||
         ((everything_ || dirty_ > 0 || !unknown_.empty()) && HasRoom());
}

bool StreamSession::RequestRead() {
  if (reading_ || !WantsRead()) return false;
  reading_ = true;
  return true;
}

void StreamSession::MarkDirty(const ConversationId& conversation) {
  const auto place = places_.find(conversation);
  if (conversation.IsZero()) {
    everything_ = true;
  } else if (place == places_.end()) {
    unknown_.insert(conversation);
    everything_ = everything_ || unknown_.size() > kUnknownLimit;
  } else if (!place->second.dirty) {
    place->second.dirty = true;
    ++dirty_;
  }
}

void StreamSession::Settle(Place& place, int64_t sequence) {
  in_flight_ -= place.InFlight();
  place.settled = std::max(place.settled, sequence);
  in_flight_ += place.InFlight();
}

void StreamSession::Advance(Place& place, int64_t next) {
  in_flight_ -= place.InFlight();
  place.next = next;
  in_flight_ += place.InFlight();
}

bool StreamSession::PushEnvelope(Place& place, const EnvelopePtr& envelope) {
  if (!HasRoom()) return false;
  Advance(place, envelope->sequence + 1);
  queue_.emplace_back(Told(envelope, place.silenced));
  queued_bytes_ += SizeOf(queue_.back());
  return true;
}

StreamSession::ReadPlan StreamSession::NextRead() {
  MutexLock lock(mutex_);
  ReadPlan plan;
  plan.wanted = WantsRead();
  if (!plan.wanted) {
    reading_ = false;
    return plan;
  }
  plan.everything = everything_ || !first_read_done_;
  plan.limit = HasRoom() ? options_.window - in_flight_ : 0;
  for (auto& [conversation, place] : places_) {
    if (!place.dirty && !plan.everything) continue;
    plan.positions.push_back({conversation, place.next, place.welcomed});
    place.asked = place.next;
    place.dirty = false;
  }
  if (!plan.everything) {
    for (const ConversationId& conversation : unknown_)
      plan.positions.push_back({conversation, 0, 0});
  }
  unknown_.clear();
  dirty_ = 0;
  everything_ = look_ = false;
  return plan;
}

bool StreamSession::OnRead(const ReadPlan& plan, const absl::StatusOr<StreamSnapshot>& snapshot) {
  bool go_on = false;
  bool wake = false;
  {
    MutexLock lock(mutex_);
    if (closed_) return true;
    bool progress = !first_read_done_;
    bool more = false;
    if (!snapshot.ok()) {
      everything_ = everything_ || plan.everything;
      for (const StreamPosition& position : plan.positions) MarkDirty(position.conversation);
      reading_ = false;
      return false;
    }
    if (!snapshot->device_known || snapshot->device_revoked) {
      CloseLocked(ClosingCause::kRevoked);
    } else if (snapshot->generation > generation_) {
      CloseLocked(ClosingCause::kReplaced);
    } else {
      for (const StreamConversation& read : snapshot->conversations) {
        progress |= Apply(read);
        more |= read.has_more;
      }
      first_read_done_ = true;
      ApplyKeyPackages(*snapshot);
      NoteCaughtUp();
    }
    wake = !queue_.empty();
    // More that does not come: the same read would be made again at once, for nothing.
    if (more && !progress && plan.limit > 0 && !closed_) reading_ = false;
    go_on = reading_;
  }
  if (wake) wake_();
  return go_on;
}

bool StreamSession::Apply(const StreamConversation& read) {
  const ConversationId& id = read.conversation.id;
  auto [found, fresh] = places_.try_emplace(id);
  Place& place = found->second;
  if (fresh) {
    place.dirty = false;
    place.next = read.conversation.acked_sequence + 1;
    place.settled = read.conversation.acked_sequence;
  }
  int64_t asked = std::exchange(place.asked, 0);
  if (asked == 0) asked = place.next;
  const bool first = !place.seen;
  place.seen = true;
  // A cursor beyond the end is the client's mistake: it gets what comes.
  if (first && place.next > read.conversation.head_sequence + 1) {
    Advance(place, read.conversation.head_sequence + 1);
    asked = place.next;
  }
  Settle(place, read.conversation.acked_sequence);
  if (const auto early = early_.find(id); early != early_.end()) {
    Settle(place, std::min(early->second, read.conversation.head_sequence));
    early_found_.push_back({id, early->second});
    early_.erase(early);
  }
  const size_t queued = queue_.size();
  ApplyState(place, read, first && first_read_done_);
  ApplyGroup(place, read);
  asked = std::max(asked, std::min(place.next, read.start_sequence));
  if (first) place.catch_up_to = read.deliverable ? read.readable_to : 0;
  if (read.gap.has_value() && place.next == asked) {
    queue_.emplace_back(*read.gap);
    Settle(place, read.gap->last_sequence);
    Advance(place, read.gap->last_sequence + 1);
  }
  bool more = read.has_more;
  for (const EnvelopePtr& envelope : read.envelopes) {
    if (!place.deliverable || envelope->sequence < place.next) continue;
    if (envelope->sequence > place.next || !PushEnvelope(place, envelope)) {
      more = true;
      break;
    }
  }
  if (more) MarkDirty(id);
  if (!read.has_more && read.envelopes.empty() && !read.gap.has_value()) {
    place.catch_up_to = std::min(place.catch_up_to, place.next - 1);
  }
  return queue_.size() != queued;
}

void StreamSession::ApplyGroup(Place& place, const StreamConversation& read) {
  // What lies before the device's first message was never its own: no gap.
  if (place.next < read.start_sequence) {
    Settle(place, read.start_sequence - 1);
    Advance(place, read.start_sequence);
  }
  if (read.welcome == nullptr || !place.deliverable || read.welcome->sequence <= place.welcomed) {
    return;
  }
  place.welcomed = read.welcome->sequence;
  queued_bytes_ += read.welcome->message.size();
  queue_.emplace_back(read.welcome);
}

void StreamSession::ApplyState(Place& place, const StreamConversation& read, bool announce) {
  const bool differs = place.state != read.conversation.state || place.revision != read.revision;
  const bool changed = differs && first_read_done_;
  place.state = read.conversation.state;
  place.revision = read.revision;
  if (place.deliverable && !read.deliverable) DropQueued(read.conversation.id);
  place.deliverable = read.deliverable;
  place.silenced = read.silenced;
  if (differs && !place.silenced.empty()) SilenceQueued(read.conversation.id, place.silenced);
  if (announce || changed) queue_.emplace_back(ConversationChanged{read.conversation});
}

void StreamSession::DropQueued(const ConversationId& conversation) {
  std::deque<Event> kept;
  for (Event& event : queue_) {
    if (IsContentOf(event, conversation)) {
      queued_bytes_ -= SizeOf(event);
    } else {
      kept.push_back(std::move(event));
    }
  }
  queue_ = std::move(kept);
  // What was not and will not be sent does not fill the window.
  if (const auto place = places_.find(conversation); place != places_.end()) {
    Settle(place->second, place->second.next - 1);
    place->second.catch_up_to = 0;
  }
}

void StreamSession::SilenceQueued(const ConversationId& conversation,
                                  const std::vector<MemberId>& silenced) {
  for (Event& event : queue_) {
    const EnvelopePtr* envelope = AsEnvelope(event);
    if (envelope == nullptr || (*envelope)->conversation != conversation) continue;
    queued_bytes_ -= SizeOf(event);
    event = Told(*envelope, silenced);
    queued_bytes_ += SizeOf(event);
  }
}

void StreamSession::ApplyKeyPackages(const StreamSnapshot& snapshot) {
  if (!snapshot.key_packages.has_value()) return;
  const bool low = snapshot.key_packages->low;
  if (low && !told_low_) queue_.emplace_back(KeyPackagesLow{*snapshot.key_packages});
  told_low_ = low;
}

void StreamSession::NoteCaughtUp() {
  if (caught_up_ || !first_read_done_ || closed_) return;
  for (const auto& [id, place] : places_) {
    if (place.seen && place.next <= place.catch_up_to) return;
  }
  caught_up_ = true;
  queue_.emplace_back(CaughtUp{});
}

}  // namespace handrail::messaging

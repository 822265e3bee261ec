#include "services/messaging/domain/messaging.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "services/messaging/domain/known_device.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;

absl::Status NotFound() {
  return Error(StatusCode::kNotFound, reason::kNotFound).Message("no such conversation");
}

// What a caller is told: an unknown device has no conversations.
absl::Status Public(absl::Status status) {
  return IsDeviceUnknown(status) ? NotFound() : std::move(status);
}
template <typename T>
absl::StatusOr<T> Public(absl::StatusOr<T> result) {
  if (!result.ok()) return Public(std::move(result).status());
  return result;
}

int PageSize(int asked, int usual, int most) { return asked == 0 ? usual : std::min(asked, most); }

// Lets a thread wait for one answer.
class StatusWaiter {
 public:
  std::function<void(absl::Status)> Callback() {
    return [state = state_](absl::Status status) {
      MutexLock lock(state->mutex);
      state->status = std::move(status);
      state->done = true;
      state->signal.SignalAll();
    };
  }
  absl::Status Wait(const Clock& clock, absl::Time deadline) {
    MutexLock lock(state_->mutex);
    while (!state_->done) {
      const absl::Duration left = deadline - clock.Now();
      if (left <= absl::ZeroDuration()) {
        return Error(StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded)
            .Message("the write may still take place; repeat it");
      }
      state_->signal.WaitFor(state_->mutex, left);
    }
    return state_->status;
  }

 private:
  struct State {
    Mutex mutex;
    CondVar signal;
    bool done ABSL_GUARDED_BY(mutex) = false;
    absl::Status status ABSL_GUARDED_BY(mutex);
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace

Messaging::Messaging(MessageStore& store, MemberDirectory& directory, DeliveryHub& hub,
                     const Clock& clock, const Options& options)
    : store_(store),
      directory_(directory),
      hub_(hub),
      clock_(clock),
      options_(options),
      askers_(options.asking_threads, options.asking_queue_limit) {}

absl::Status Messaging::Ask(absl::Time deadline, const MemberId& member) {
  deadline = std::min(deadline, clock_.Now() + options_.asking_timeout);
  ASSIGN_OR_RETURN(const MemberDirectory::Answer answer, directory_.Get(deadline, member));
  // Blocks first: what the devices may read is decided when they are added.
  for (const Block& block : answer.blocks) {
    ASSIGN_OR_RETURN(const auto wake_ups, store_.ApplyBlock(deadline, clock_.Now(), block));
    hub_.Spread(wake_ups);
  }
  ASSIGN_OR_RETURN(const auto wake_ups,
                   store_.ApplyMembers(deadline, clock_.Now(), {&answer.snapshot, 1}));
  hub_.Spread(wake_ups);
  return absl::OkStatus();
}

template <typename Step>
auto Messaging::KnowingDevice(const Call& call, Step step) -> decltype(step()) {
  const auto learn = [&] {
    absl::Status asked = Ask(call.deadline, call.who.member);
    return absl::IsNotFound(asked) ? NotFound() : asked;
  };
  return WithKnownDevice(learn, NotFound(), step);
}

void Messaging::Send(const Call& call, Message message, const std::shared_ptr<Wakeable>& wake_after,
                     MessageStore::AppendDone done) {
  if (message.payload.empty() || message.payload.size() > options_.limits.message_bytes) {
    done(FieldError("payload",
                    absl::StrCat("must have 1 to ", options_.limits.message_bytes, " bytes")));
    if (wake_after != nullptr) wake_after->Wake();
    return;
  }
  Append append{call.who.member,
                call.who.device,
                message.conversation,
                message.message_id,
                std::move(message.payload),
                call.deadline};
  // Kept for the second attempt; a message that is not stored keeps its bytes only while it is
  // asked.
  auto again = std::make_shared<Append>(append);
  store_.AppendAsync(
      std::move(append), wake_after,
      [this, again, wake_after, done = std::move(done)](absl::StatusOr<Appended> result) {
        if (result.ok() || !IsDeviceUnknown(result.status())) return done(std::move(result));
        AppendAgain(std::move(*again), wake_after, done);
      });
}

void Messaging::AppendAgain(Append append, const std::shared_ptr<Wakeable>& wake_after,
                            const MessageStore::AppendDone& done) {
  const auto fail = [wake_after](const MessageStore::AppendDone& failed, absl::Status status) {
    failed(std::move(status));
    if (wake_after != nullptr) wake_after->Wake();
  };
  const bool taken =
      askers_.TryRun([this, append = std::move(append), wake_after, done, fail]() mutable {
        const absl::Status asked = Ask(append.deadline, append.member);
        if (!asked.ok()) return fail(done, absl::IsNotFound(asked) ? NotFound() : asked);
        store_.AppendAsync(std::move(append), wake_after, [done](absl::StatusOr<Appended> result) {
          done(Public(std::move(result)));
        });
      });
  if (taken) return;
  fail(done, Error(StatusCode::kResourceExhausted, reason::kOverloaded)
                 .Message("too many devices are new at once")
                 .RetryAfter(absl::Seconds(1)));
}

absl::Status Messaging::Acknowledge(const Call& call, const std::vector<Cursor>& cursors) {
  RETURN_IF_ERROR(KnowingDevice(call, [&] {
    return store_.CheckCursors(call.deadline, call.who.member, call.who.device, cursors);
  }));
  StatusWaiter waiter;
  store_.AckAsync(call.who.device, cursors, waiter.Callback());
  RETURN_IF_ERROR(waiter.Wait(clock_, call.deadline));
  hub_.OnAcknowledged(call.who.device, cursors);
  return absl::OkStatus();
}

void Messaging::AcknowledgeLazily(const Call& call, StreamSession& session,
                                  const std::vector<Cursor>& cursors) {
  // What a stream says of conversations that are not its own never reaches the shared queue, which
  // so holds at most one entry for each conversation of each device, however often they are named.
  std::vector<Cursor> ours = session.Acknowledge(cursors);
  if (!ours.empty()) store_.AckAsync(call.who.device, std::move(ours), nullptr);
}

absl::StatusOr<MessagePage> Messaging::Fetch(const Call& call, const ConversationId& conversation,
                                             int64_t after_sequence, int page_size) {
  const int limit = PageSize(page_size, options_.default_page_size, options_.max_page_size);
  return KnowingDevice(call, [&] {
    return store_.Fetch(call.deadline, call.who.member, call.who.device, conversation,
                        after_sequence, limit);
  });
}

absl::StatusOr<Conversation> Messaging::GetConversation(const Call& call,
                                                        const ConversationId& id) {
  return KnowingDevice(call, [&] {
    return store_.GetConversation(call.deadline, call.who.member, call.who.device, id);
  });
}

absl::StatusOr<Messaging::ConversationPage> Messaging::ListConversations(
    const Call& call, const std::optional<MessageStore::ListPosition>& after, int page_size) {
  const int limit = PageSize(page_size, options_.default_list_size, options_.max_list_size);
  ConversationPage page;
  ASSIGN_OR_RETURN(page.conversations, store_.ListConversations(call.deadline, call.who.member,
                                                                call.who.device, after, limit + 1));
  page.has_more = page.conversations.size() > static_cast<size_t>(limit);
  if (page.has_more) page.conversations.pop_back();
  return page;
}

absl::Status Messaging::LeaveConversation(const Call& call, const ConversationId& id) {
  ASSIGN_OR_RETURN(const auto wake_ups, KnowingDevice(call, [&] {
                     return store_.LeaveConversation(call, clock_.Now(), id);
                   }));
  hub_.Spread(wake_ups);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<StreamSession>> Messaging::OpenStream(
    const Call& call, absl::Span<const Cursor> cursors, std::function<void()> wake) {
  return KnowingDevice(call, [&] { return hub_.OpenStream(call, cursors, wake); });
}

absl::StatusOr<ConversationId> Messaging::OpenConversation(const Call& call,
                                                           const PairingId& pairing,
                                                           const std::vector<MemberId>& members) {
  if (members.size() != 2 || members[0] == members[1]) {
    return FieldError("members", "must be two different members");
  }
  ASSIGN_OR_RETURN(const std::vector<MemberId> unknown,
                   store_.UnknownMembers(call.deadline, members));
  // Best effort: without an answer the devices come with the next snapshot, or when they call, and
  // then read from the first message on.
  for (const MemberId& member : unknown) Ask(call.deadline, member).IgnoreError();
  ASSIGN_OR_RETURN(const OpenedConversation opened,
                   store_.OpenConversation(call.deadline, clock_.Now(), pairing, members));
  hub_.Spread(opened.wake_ups);
  return opened.id;
}

absl::Status Messaging::CloseConversation(const Call& call, const PairingId& pairing) {
  ASSIGN_OR_RETURN(const auto wake_ups,
                   store_.CloseConversation(call.deadline, clock_.Now(), pairing));
  hub_.Spread(wake_ups);
  return absl::OkStatus();
}

absl::Status Messaging::ApplyMembers(const Call& call, absl::Span<const MemberSnapshot> members) {
  ASSIGN_OR_RETURN(const auto wake_ups, store_.ApplyMembers(call.deadline, clock_.Now(), members));
  hub_.Spread(wake_ups);
  return absl::OkStatus();
}

absl::Status Messaging::ApplyBlock(const Call& call, const Block& block) {
  if (block.blocker == block.blocked) {
    return FieldError("block.blocked", "must be another member");
  }
  ASSIGN_OR_RETURN(const auto wake_ups, store_.ApplyBlock(call.deadline, clock_.Now(), block));
  hub_.Spread(wake_ups);
  return absl::OkStatus();
}

}  // namespace handrail::messaging

#include "services/messaging/stores/ack_batcher.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/messaging/stores/devices.h"
#include "services/messaging/stores/schema.h"

namespace handrail::messaging {
namespace {

std::string UpdateText(size_t count) {
  std::string text = "UPDATE conversation_devices SET acked_sequence = v.column3 FROM (VALUES ";
  for (size_t i = 0; i < count; ++i) {
    const size_t p = 1 + i * 3;
    absl::StrAppend(&text, i == 0 ? "" : ", ", "(CAST($", p, " AS {int}), CAST($", p + 1,
                    " AS {blob}), CAST($", p + 2, " AS {int}))");
  }
  return absl::StrCat(text,
                      ") AS v WHERE conversation_key = v.column1 AND device_id = v.column2"
                      " AND acked_sequence < v.column3"
                      " AND (end_sequence IS NULL OR end_sequence >= v.column3)"
                      " AND v.column3 <= (SELECT head_sequence FROM conversations c"
                      "  WHERE c.conversation_key = v.column1)");
}

}  // namespace

AckBatcher::AckBatcher(storage::Database& database, const Clock& clock, const Limits& limits,
                       const Options& options)
    : database_(database),
      clock_(clock),
      limits_(limits),
      options_(options),
      ticker_(options.tick, [this] { Flush(); }) {}

AckBatcher::~AckBatcher() {
  ticker_.Stop();
  Flush();
  MutexLock lock(mutex_);
  while (in_flight_) idle_.Wait(mutex_);
}

void AckBatcher::Add(const DeviceId& device, const std::vector<Cursor>& cursors,
                     MessageStore::AckDone done) {
  bool left_out = false;
  const bool wait = done != nullptr;
  {
    MutexLock lock(mutex_);
    for (const Cursor& cursor : cursors) {
      const Key key(cursor.conversation, device);
      if (pending_.size() >= options_.pending_limit && !pending_.contains(key)) {
        left_out = true;
        continue;
      }
      int64_t& sequence = pending_[key];
      sequence = std::max(sequence, cursor.sequence);
    }
    if (wait && !left_out) waiters_.push_back(std::move(done));
  }
  if (wait && left_out) {
    done(Error(absl::StatusCode::kResourceExhausted, reason::kOverloaded)
             .Message("too many acknowledgements are waiting to be stored")
             .RetryAfter(absl::Milliseconds(200)));
  }
  if (wait) Flush();
}

void AckBatcher::Flush() {
  auto batch = std::make_shared<Batch>();
  {
    MutexLock lock(mutex_);
    if (in_flight_ || (pending_.empty() && waiters_.empty())) return;
    while (!pending_.empty() && batch->acks.size() < options_.batch_limit) {
      const auto first = pending_.begin();
      batch->acks.emplace_back(*first);
      pending_.erase(first);
    }
    // Waiters are answered by the write after which nothing older than they is pending.
    if (pending_.empty()) batch->waiters.swap(waiters_);
    in_flight_ = true;
  }
  std::sort(batch->acks.begin(), batch->acks.end());
  database_.WriteAsync(
      clock_.Now() + options_.batch_timeout,
      [this, batch](storage::Transaction& tx) -> absl::Status {
        if (batch->acks.empty()) return absl::OkStatus();
        storage::Args args;
        const size_t count = PaddedCount(batch->acks.size());
        std::vector<DeviceId> devices;
        for (size_t i = 0; i < count; ++i) {
          const auto& [key, sequence] = batch->acks[std::min(i, batch->acks.size() - 1)];
          args.emplace_back(KeyOf(key.first));
          args.emplace_back(key.second);
          args.emplace_back(sequence);
          if (devices.empty() || devices.back() != key.second) devices.push_back(key.second);
        }
        RETURN_IF_ERROR(TouchDevices(tx, limits_, clock_.Now(), devices));
        return tx.Later(UpdateText(count), args);
      },
      [this, batch](absl::Status status) { OnDone(*batch, status); });
}

void AckBatcher::OnDone(const Batch& batch, const absl::Status& status) {
  for (const MessageStore::AckDone& done : batch.waiters) done(status);
  bool more = false;
  {
    MutexLock lock(mutex_);
    in_flight_ = false;
    // Lazily kept ones come again with the next tick.
    if (!status.ok()) {
      for (const auto& [key, sequence] : batch.acks) {
        if (pending_.size() >= options_.pending_limit) break;
        int64_t& kept = pending_[key];
        kept = std::max(kept, sequence);
      }
    }
    more = status.ok() && !waiters_.empty();
    if (!more) idle_.SignalAll();
  }
  if (more) Flush();
}

}  // namespace handrail::messaging

#ifndef HANDRAIL_SERVICES_MATCHING_STORES_HOOKED_DATABASE_FOR_TEST_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_HOOKED_DATABASE_FOR_TEST_H_

#include <functional>
#include <utility>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/storage/database.h"

namespace handrail::matching {

// A database whose reads are slow, or fail, as the test says: `before_read` may move the clock, or
// give the read's failure. A read whose deadline has passed by then fails. Writes go through.
class HookedDatabase final : public storage::Database {
 public:
  HookedDatabase(storage::Database& below, const Clock& clock) : below_(below), clock_(clock) {}
  absl::string_view BackendName() const override { return below_.BackendName(); }
  storage::DatabaseStats Stats() const override { return below_.Stats(); }

  std::function<absl::Status()> before_read = [] { return absl::OkStatus(); };

 private:
  absl::Status DoWrite(absl::Time deadline, Work work) override {
    if (clock_.Now() >= deadline) return Late();
    return below_.Write(deadline, work);
  }
  void DoWriteAsync(absl::Time deadline, AsyncWork work, Done done) override {
    below_.WriteAsync(deadline, std::move(work), std::move(done));
  }
  absl::Status DoRead(absl::Time deadline, Work work) override {
    RETURN_IF_ERROR(before_read());
    if (clock_.Now() >= deadline) return Late();
    return below_.Read(deadline, work);
  }
  absl::Status DoMigrate(absl::Span<const storage::Migration> migrations) override {
    return below_.Migrate(migrations);
  }
  absl::StatusOr<absl::Time> DoNow(absl::Time deadline) override { return below_.Now(deadline); }
  static absl::Status Late() {
    return Error(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineExceeded).ToStatus();
  }

  storage::Database& below_;
  const Clock& clock_;
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_HOOKED_DATABASE_FOR_TEST_H_

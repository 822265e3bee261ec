#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_WATCHED_DATABASE_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_WATCHED_DATABASE_H_

#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/storage/database.h"

namespace handrail::messaging {

// A database for tests that looks at what goes to the one below and at its answers, in units of
// work that are waited for, and may change them. The one below must outlive it.
class WatchedDatabase final : public storage::Database {
 public:
  using OnRows = std::function<void(absl::string_view sql, storage::Rows& rows)>;
  // Gives what is executed instead of a statement.
  using Rewrite = std::function<std::string(absl::string_view sql)>;

  explicit WatchedDatabase(storage::Database& below, OnRows on_rows = nullptr,
                           Rewrite rewrite = nullptr)
      : below_(below), on_rows_(std::move(on_rows)), rewrite_(std::move(rewrite)) {}
  absl::string_view BackendName() const override { return below_.BackendName(); }
  storage::DatabaseStats Stats() const override { return below_.Stats(); }

 private:
  class WatchedTransaction final : public storage::Transaction {
   public:
    WatchedTransaction(storage::Transaction& below, const WatchedDatabase& watch)
        : below_(below), watch_(watch) {}

   private:
    absl::StatusOr<storage::Rows> DoQuery(absl::string_view sql,
                                          const storage::Args& args) override {
      auto rows = below_.Query(watch_.Rewritten(sql), args);
      if (rows.ok() && watch_.on_rows_) watch_.on_rows_(sql, *rows);
      return rows;
    }
    absl::StatusOr<int64_t> DoExecute(absl::string_view sql, const storage::Args& args) override {
      return below_.Execute(watch_.Rewritten(sql), args);
    }
    storage::Transaction& below_;
    const WatchedDatabase& watch_;
  };

  std::string Rewritten(absl::string_view sql) const {
    return rewrite_ ? rewrite_(sql) : std::string(sql);
  }

  absl::Status DoWrite(absl::Time deadline, Work work) override {
    return below_.Write(deadline, [&](storage::Transaction& tx) {
      WatchedTransaction watched(tx, *this);
      return work(watched);
    });
  }
  void DoWriteAsync(absl::Time deadline, AsyncWork work, Done done) override {
    below_.WriteAsync(deadline, std::move(work), std::move(done));
  }
  absl::Status DoRead(absl::Time deadline, Work work) override {
    return below_.Read(deadline, [&](storage::Transaction& tx) {
      WatchedTransaction watched(tx, *this);
      return work(watched);
    });
  }
  absl::Status DoMigrate(absl::Span<const storage::Migration> migrations) override {
    return below_.Migrate(migrations);
  }
  absl::StatusOr<absl::Time> DoNow(absl::Time deadline) override { return below_.Now(deadline); }

  storage::Database& below_;
  const OnRows on_rows_;
  const Rewrite rewrite_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_WATCHED_DATABASE_H_

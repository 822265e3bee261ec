#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_REMAINS_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_REMAINS_H_

#include "common/storage/database.h"
#include "services/messaging/domain/retention_job.h"

namespace handrail::messaging {

// RemainsStore on the database that Migrations() has prepared. It walks along the rows, a batch a
// step, and begins again at their end; where it is, it knows in memory alone.
class SqlRemainsStore final : public RemainsStore {
 public:
  // Rows that one step looks at, of each table.
  static constexpr int kBatch = 256;

  // It must outlive the store.
  explicit SqlRemainsStore(storage::Database& database, int batch = kBatch)
      : database_(database), batch_(batch) {}

  absl::StatusOr<RemainsTrim> TrimRemains(absl::Time deadline) override;

 private:
  storage::Database& database_;
  const int batch_;
  DeviceId push_after_;
  MemberId log_after_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_REMAINS_H_

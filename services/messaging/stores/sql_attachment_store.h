#ifndef HANDRAIL_SERVICES_MESSAGING_STORES_SQL_ATTACHMENT_STORE_H_
#define HANDRAIL_SERVICES_MESSAGING_STORES_SQL_ATTACHMENT_STORE_H_

#include <string>

#include "common/storage/database.h"
#include "services/messaging/domain/attachments.h"

namespace handrail::messaging {

// AttachmentStore on the database that Migrations() has prepared. An attachment is there while its
// time is not over: to delete it is to set that time to 0, and the sweep removes the bytes. A chunk
// is never changed, so that what was hashed is what will be fetched. Locks come in the order that
// membership.h tells, attachments last.
class SqlAttachmentStore final : public AttachmentStore {
 public:
  // `database` must outlive the store.
  SqlAttachmentStore(storage::Database& database, const AttachmentLimits& limits)
      : database_(database), limits_(limits) {}

  absl::StatusOr<Attachment> Begin(absl::Time deadline, absl::Time now,
                                   const AttachmentCaller& caller,
                                   const NewAttachment& attachment) override;
  absl::Status PutChunk(absl::Time deadline, absl::Time now, const AttachmentCaller& caller,
                        const AttachmentId& id, int64_t index, const std::string& bytes) override;
  absl::StatusOr<Attachment> Get(absl::Time deadline, absl::Time now,
                                 const AttachmentCaller& caller, const AttachmentId& id) override;
  absl::StatusOr<Attachment> Finish(absl::Time deadline, absl::Time now,
                                    const AttachmentCaller& caller,
                                    const AttachmentId& id) override;
  absl::StatusOr<std::string> FetchChunk(absl::Time deadline, absl::Time now,
                                         const AttachmentCaller& caller, const AttachmentId& id,
                                         int64_t index) override;
  absl::Status Delete(absl::Time deadline, const AttachmentCaller& caller,
                      const AttachmentId& id) override;
  absl::StatusOr<AttachmentSweep> SweepSome(absl::Time deadline, absl::Time now) override;

 private:
  // The digest of what is stored, read about 1 MiB at once. NOT_FOUND when it went meanwhile.
  absl::StatusOr<std::string> DigestOf(absl::Time deadline, const Attachment& attachment);

  storage::Database& database_;
  const AttachmentLimits limits_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_STORES_SQL_ATTACHMENT_STORE_H_

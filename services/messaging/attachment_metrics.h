#ifndef HANDRAIL_SERVICES_MESSAGING_ATTACHMENT_METRICS_H_
#define HANDRAIL_SERVICES_MESSAGING_ATTACHMENT_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include "services/messaging/domain/attachment_meter.h"

namespace handrail::messaging {

// What goes through this replica of attachments, as metrics:
//   handrail_messaging_attachments_begun_total{reason="..."}     "OK" or why they were refused
//   handrail_messaging_attachments_finished_total{reason="..."}  likewise
//   handrail_messaging_attachments_swept_total                   of which nothing is left
//   handrail_messaging_attachment_bytes_stored_total             in chunks that were put
//   handrail_messaging_attachment_bytes_fetched_total            in chunks that were fetched
// Thread-safe. The registry must outlive it.
class AttachmentMetrics final : public AttachmentMeter {
 public:
  explicit AttachmentMetrics(prometheus::Registry& registry);

  void OnBegun(const absl::Status& status) override;
  void OnFinished(const absl::Status& status) override;
  void OnStored(int64_t bytes) override;
  void OnFetched(int64_t bytes) override;
  void OnSwept(int64_t attachments) override;

 private:
  prometheus::Family<prometheus::Counter>& begun_;
  prometheus::Family<prometheus::Counter>& finished_;
  prometheus::Counter& swept_;
  prometheus::Counter& bytes_stored_;
  prometheus::Counter& bytes_fetched_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_ATTACHMENT_METRICS_H_

#include "services/messaging/attachment_metrics.h"

#include <string>

#include "common/base/status.h"

namespace handrail::messaging {
namespace {

prometheus::Family<prometheus::Counter>& MakeFamily(prometheus::Registry& registry,
                                                    const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

// The reasons are a fixed list, so are the labels.
void CountByReason(prometheus::Family<prometheus::Counter>& family, const absl::Status& status) {
  const std::string reason = status.ok() ? "OK" : ReasonOf(status);
  family.Add({{"reason", reason.empty() ? "NONE" : reason}}).Increment();
}

}  // namespace

AttachmentMetrics::AttachmentMetrics(prometheus::Registry& registry)
    : begun_(MakeFamily(registry, "handrail_messaging_attachments_begun_total",
                        "Attachments that were begun (OK) or refused, by reason.")),
      finished_(MakeFamily(registry, "handrail_messaging_attachments_finished_total",
                           "Attachments that were finished (OK) or not, by reason.")),
      swept_(MakeFamily(registry, "handrail_messaging_attachments_swept_total",
                        "Attachments of which nothing is left.")
                 .Add({})),
      bytes_stored_(MakeFamily(registry, "handrail_messaging_attachment_bytes_stored_total",
                               "Bytes of chunks that members put.")
                        .Add({})),
      bytes_fetched_(MakeFamily(registry, "handrail_messaging_attachment_bytes_fetched_total",
                                "Bytes of chunks that members fetched.")
                         .Add({})) {}

void AttachmentMetrics::OnBegun(const absl::Status& status) { CountByReason(begun_, status); }

void AttachmentMetrics::OnFinished(const absl::Status& status) { CountByReason(finished_, status); }

void AttachmentMetrics::OnStored(int64_t bytes) {
  bytes_stored_.Increment(static_cast<double>(bytes));
}

void AttachmentMetrics::OnFetched(int64_t bytes) {
  bytes_fetched_.Increment(static_cast<double>(bytes));
}

void AttachmentMetrics::OnSwept(int64_t attachments) {
  swept_.Increment(static_cast<double>(attachments));
}

}  // namespace handrail::messaging

#include "common/rpc/policy_table.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"

namespace handrail::rpc {
namespace {

using common::v1::Access;

constexpr absl::Duration kDefaultUnaryDeadline = absl::Seconds(30);
constexpr int kDefaultCallsPerMinute = 600;

MethodRow RowOf(const google::protobuf::MethodDescriptor& method, Listener listener) {
  const common::v1::MethodPolicy& policy = method.options().GetExtension(common::v1::policy);
  MethodRow row;
  row.method = absl::StrCat("/", method.service()->full_name(), "/", method.name());
  row.descriptor = &method;
  row.listener = listener;
  row.access = policy.access();
  row.call_class = policy.call_class() == common::v1::CALL_CLASS_UNSPECIFIED
                       ? common::v1::CALL_CLASS_BROWSING
                       : policy.call_class();
  row.streaming = method.client_streaming() || method.server_streaming();
  row.max_deadline = policy.max_deadline_ms() > 0 ? absl::Milliseconds(policy.max_deadline_ms())
                     : row.streaming              ? absl::InfiniteDuration()
                                                  : kDefaultUnaryDeadline;
  row.write = policy.write();
  row.calls_per_minute =
      policy.calls_per_minute() > 0 ? policy.calls_per_minute() : kDefaultCallsPerMinute;
  return row;
}

// Whether a write can be repeated safely: its request has a `request_id` marked as one.
bool HasRequestId(const google::protobuf::Descriptor& request) {
  const auto* field = request.FindFieldByName("request_id");
  return field != nullptr && field->options().GetExtension(common::v1::rule).request_id();
}

void AppendFaults(const MethodRow& row, std::vector<std::string>* faults) {
  if (!row.descriptor->options().HasExtension(common::v1::policy) ||
      row.access == Access::ACCESS_UNSPECIFIED || !common::v1::Access_IsValid(row.access)) {
    faults->push_back(absl::StrCat(row.method, " has no access rule"));
    return;
  }
  const bool for_services = row.access == Access::ACCESS_SERVICE;
  if (for_services && row.listener == Listener::kPublic) {
    faults->push_back(
        absl::StrCat(row.method, " is for services but stands on the public listener"));
  }
  if (!for_services && row.listener == Listener::kInternal) {
    faults->push_back(
        absl::StrCat(row.method, " is for people but stands on the internal listener"));
  }
  if (row.write && !HasRequestId(*row.descriptor->input_type())) {
    faults->push_back(absl::StrCat(row.method, " is a write without a request_id"));
  }
}

}  // namespace

absl::StatusOr<PolicyTable> PolicyTable::Create(
    absl::Span<const google::protobuf::ServiceDescriptor* const> public_services,
    absl::Span<const google::protobuf::ServiceDescriptor* const> internal_services) {
  PolicyTable table;
  std::vector<std::string> faults;
  const auto add = [&](const google::protobuf::ServiceDescriptor* service, Listener listener) {
    if (service == nullptr) {
      faults.push_back("a service without a descriptor");
      return;
    }
    for (int i = 0; i < service->method_count(); ++i) {
      MethodRow row = RowOf(*service->method(i), listener);
      row.index = table.rows_.size();
      AppendFaults(row, &faults);
      const MethodRow& kept = table.rows_.emplace_back(std::move(row));
      const auto [it, is_new] = table.by_request_.emplace(service->method(i)->input_type(), &kept);
      if (!is_new) {
        faults.push_back(absl::StrCat(kept.method, " has the request of ", it->second->method));
      }
    }
  };
  for (const auto* service : public_services) add(service, Listener::kPublic);
  for (const auto* service : internal_services) add(service, Listener::kInternal);
  if (!faults.empty()) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
        .Message(absl::StrJoin(faults, "; "));
  }
  return table;
}

const MethodRow* PolicyTable::Find(const google::protobuf::Descriptor* request) const {
  const auto it = by_request_.find(request);
  return it == by_request_.end() ? nullptr : it->second;
}

}  // namespace handrail::rpc

#include "services/messaging/stores/commit_digest.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/crypto/hash.h"

namespace handrail::messaging {

std::string DigestOf(const CommitBundle& bundle) {
  std::string all;
  const auto append = [&all](absl::string_view part) {
    absl::StrAppend(&all, part.size(), ":", part);
  };
  const auto append_devices = [&append](const std::vector<DeviceId>& devices) {
    append(absl::StrCat(devices.size()));
    for (const DeviceId& device : devices) append(device.Bytes());
  };
  append(bundle.device.Bytes());
  append(bundle.commit);
  for (const WelcomeFor& welcome : bundle.welcomes) {
    append(welcome.message);
    append_devices(welcome.devices);
  }
  append_devices(bundle.added);
  append_devices(bundle.removed);
  append(bundle.group_info);
  if (bundle.replaces.has_value()) {
    append(bundle.replaces->group_id);
    append(absl::StrCat(bundle.replaces->epoch));
  }
  return crypto::Sha256(all);
}

}  // namespace handrail::messaging

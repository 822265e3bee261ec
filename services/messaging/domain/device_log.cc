#include "services/messaging/domain/device_log.h"

#include <algorithm>

#include "common/base/big_endian.h"
#include "common/base/status.h"
#include "services/messaging/domain/known_device.h"

namespace handrail::messaging {
namespace {

constexpr absl::string_view kLabel = "handrail device log v1";

void AppendBytes(std::string& out, absl::string_view bytes) {
  out.append(bytes.data(), bytes.size());
}

}  // namespace

std::string DeviceLogHashInput(const MemberId& member, const DeviceLogEntry& entry) {
  std::string input;
  AppendBytes(input, kLabel);
  input.push_back('\0');
  AppendBytes(input, member.Bytes());
  input += EightBytes(entry.index);
  input.push_back(static_cast<char>(entry.kind));
  AppendBytes(input, entry.device.Bytes());
  AppendBytes(input, entry.public_key);
  input += EightBytes(absl::ToUnixMicros(entry.create_time));
  AppendBytes(input, entry.previous_hash);
  return input;
}

absl::StatusOr<DeviceLogPage> DeviceLogs::List(const Call& call, const MemberId& of,
                                               int64_t after_index, int page_size) {
  const int wanted = page_size == 0 ? options_.default_page_size : page_size;
  const int limit = std::min(wanted, options_.max_page_size);
  const auto list = [&] {
    return store_.List(call.deadline, call.who.member, call.who.device, of, after_index, limit);
  };
  auto page = WithKnownDevice(
      [&] { return learn_(call, call.who.member); },
      Error(absl::StatusCode::kNotFound, reason::kNotFound).Message("no such device"), list);
  if (!page.ok() || !page->incomplete) return page;
  if (!learn_(call, of).ok()) return page;
  return list();
}

}  // namespace handrail::messaging

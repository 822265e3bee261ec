#include "services/profiles/adapters/snapshot_proto.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"

namespace handrail::profiles {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// "person.age_band" → "person", "age_band".
std::pair<std::string, absl::string_view> SplitPath(absl::string_view path) {
  const size_t dot = path.find('.');
  if (dot == absl::string_view::npos) return {std::string(path), absl::string_view()};
  return {std::string(path.substr(0, dot)), path.substr(dot + 1)};
}

// One side of a snapshot. `name` is "newcomer" or "sponsor".
absl::Status FillSide(const MemberSnapshot& snapshot, absl::string_view name,
                      const std::string& traits, Message* side) {
  if (!snapshot.MayShareTraits()) return absl::OkStatus();  // that there is a side, no more
  if (!side->ParseFromString(traits)) {
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
        .Message("stored traits cannot be read");
  }
  for (const auto& [path, audience] : snapshot.audiences) {
    absl::string_view rest = path;
    if (audience != Audience::kNobody || !absl::ConsumePrefix(&rest, name)) continue;
    if (rest.empty()) side->Clear();
    if (absl::ConsumePrefix(&rest, ".")) ClearFieldPath(*side, rest);
  }
  return absl::OkStatus();
}

// What newcomers may see who choose for themselves. A field has the audience of the longest path
// that names it or holds it.
struct ShownField {
  absl::string_view path;
  common::v1::CandidateField field;
};
constexpr ShownField kShownFields[] = {
    {"sponsor.person.age_band", common::v1::CANDIDATE_FIELD_AGE_BAND},
    {"sponsor.programs.recovery_date", common::v1::CANDIDATE_FIELD_RECOVERY_TIME},
    {"sponsor.person.languages", common::v1::CANDIDATE_FIELD_LANGUAGES},
    {"sponsor.person.modalities", common::v1::CANDIDATE_FIELD_MODALITIES},
    {"sponsor.person.communities", common::v1::CANDIDATE_FIELD_COMMUNITIES},
    {"sponsor.person.substances", common::v1::CANDIDATE_FIELD_SUBSTANCES},
};

Audience AudienceOf(const MemberSnapshot& snapshot, absl::string_view path) {
  while (true) {
    const auto named = snapshot.audiences.find(std::string(path));
    if (named != snapshot.audiences.end()) return named->second;
    const size_t dot = path.rfind('.');
    if (dot == absl::string_view::npos) return Audience::kMatchingOnly;
    path = path.substr(0, dot);
  }
}

common::v1::Standing ToProto(Standing standing) {
  return static_cast<common::v1::Standing>(standing);  // the numbers are the same
}

}  // namespace

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  const int64_t micros = absl::ToUnixMicros(time);
  google::protobuf::Timestamp timestamp;
  // Rounded down, so that the part of a second is never negative.
  const int64_t seconds = micros >= 0 ? micros / 1'000'000 : -((-micros + 999'999) / 1'000'000);
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(static_cast<int32_t>((micros - seconds * 1'000'000) * 1000));
  return timestamp;
}

void ToSnapshotForMessaging(const MemberSnapshot& snapshot, common::v1::MemberSnapshot* out) {
  out->set_member(snapshot.member.Name());
  out->set_version(snapshot.version);
  out->set_standing(ToProto(snapshot.standing));
  for (const DeviceId& device : snapshot.devices) out->add_devices(device.Name());
}

void AddDeviceKeys(const MemberSnapshot& snapshot,
                   google::protobuf::RepeatedPtrField<common::v1::DeviceKey>* out) {
  for (size_t i = 0; i < snapshot.devices.size() && i < snapshot.device_keys.size(); ++i) {
    if (snapshot.device_keys[i].empty()) continue;
    common::v1::DeviceKey* key = out->Add();
    key->set_device(snapshot.devices[i].Name());
    key->set_public_key(snapshot.device_keys[i]);
  }
}

absl::Status ToSnapshotForMatching(const MemberSnapshot& snapshot,
                                   common::v1::MemberSnapshot* out) {
  ToSnapshotForMessaging(snapshot, out);
  out->mutable_consent()->set_matching(snapshot.consents_to_matching);
  out->mutable_consent()->set_health_data(snapshot.consents_to_health_data);
  if (snapshot.MayShareTraits()) {
    for (const AvoidedPair& pair : snapshot.avoided) {
      common::v1::AvoidedPair* avoided = out->add_avoided();
      avoided->set_member(pair.other.Name());
      avoided->set_dual_role(pair.dual_role);
    }
  }
  if (snapshot.newcomer.has_value()) {
    RETURN_IF_ERROR(FillSide(snapshot, "newcomer", *snapshot.newcomer, out->mutable_newcomer()));
  }
  if (snapshot.sponsor.has_value()) {
    RETURN_IF_ERROR(FillSide(snapshot, "sponsor", *snapshot.sponsor, out->mutable_sponsor()));
    if (snapshot.attest_time.has_value()) {
      *out->mutable_sponsor()->mutable_attest_time() = ToTimestamp(*snapshot.attest_time);
    }
    for (const ShownField& shown : kShownFields) {
      if (AudienceOf(snapshot, shown.path) != Audience::kCandidate) continue;
      out->add_candidate_fields(shown.field);
    }
  }
  return absl::OkStatus();
}

void ToProto(const Block& block, common::v1::Block* out) {
  out->set_name(block.id.Name());
  out->set_blocker(block.blocker.Name());
  out->set_blocked(block.blocked.Name());
  *out->mutable_create_time() = ToTimestamp(block.create_time);
}

bool IsFieldPath(const Descriptor& type, absl::string_view path) {
  const auto [name, rest] = SplitPath(path);
  const FieldDescriptor* field = type.FindFieldByName(name);
  if (field == nullptr || absl::EndsWith(path, ".")) return false;
  if (rest.empty()) return true;
  return field->message_type() != nullptr && IsFieldPath(*field->message_type(), rest);
}

void ClearFieldPath(Message& message, absl::string_view path) {
  const auto [name, rest] = SplitPath(path);
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  if (field == nullptr) return;
  const auto& reflection = *message.GetReflection();
  if (rest.empty()) return reflection.ClearField(&message, field);
  if (field->message_type() == nullptr) return;
  if (field->is_repeated()) {
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      ClearFieldPath(*reflection.MutableRepeatedMessage(&message, field, i), rest);
    }
  } else if (reflection.HasField(message, field)) {
    ClearFieldPath(*reflection.MutableMessage(&message, field), rest);
  }
}

}  // namespace handrail::profiles

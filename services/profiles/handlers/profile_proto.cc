#include "services/profiles/handlers/profile_proto.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/profiles/adapters/snapshot_proto.h"

namespace handrail::profiles {
namespace {

constexpr int kDayMinutes = 24 * 60;

void AddDate(const google::type::Date& date, const std::string& path, Side& side) {
  side.recovery_dates.emplace_back(path, CivilDate{date.year(), date.month(), date.day()});
}

void AddPerson(const common::v1::PersonTraits& person, Side& side) {
  side.time_zone = person.time_zone();
  for (const auto& window : person.availability()) {
    side.availability.push_back({(window.iso_weekday() - 1) * kDayMinutes + window.start_minute(),
                                 window.length_minutes()});
  }
}

Side FromProto(const common::v1::NewcomerTraits& traits) {
  Side side;
  traits.SerializeToString(&side.traits);
  AddPerson(traits.person(), side);
  if (traits.has_recovery_date()) {
    AddDate(traits.recovery_date(), "profile.newcomer.recovery_date", side);
  }
  return side;
}

Side FromProto(common::v1::SponsorTraits traits) {
  Side side;
  traits.clear_attest_time();  // output only: it is the service's to set
  traits.SerializeToString(&side.traits);
  AddPerson(traits.person(), side);
  for (int i = 0; i < traits.programs_size(); ++i) {
    const auto& program = traits.programs(i);
    side.programs.push_back(program.philosophy());
    if (program.has_recovery_date()) {
      AddDate(program.recovery_date(),
              absl::StrCat("profile.sponsor.programs[", i, "].recovery_date"), side);
    }
  }
  return side;
}

// Fields of a profile that a person writes and may give an audience.
bool MayHaveAudience(absl::string_view path) {
  const bool own_field = path == "pseudonym" || path == "newcomer" || path == "sponsor" ||
                         absl::StartsWith(path, "newcomer.") || absl::StartsWith(path, "sponsor.");
  return own_field && IsFieldPath(*v1::Profile::descriptor(), path);
}

absl::StatusOr<std::map<std::string, Audience>> AudiencesFromProto(const v1::Profile& profile) {
  std::map<std::string, Audience> audiences;
  for (int i = 0; i < profile.audiences_size(); ++i) {
    const auto& audience = profile.audiences(i);
    const std::string path = absl::StrCat("profile.audiences[", i, "].field");
    if (!MayHaveAudience(audience.field())) {
      return FieldError(path, "names no field of the profile that can have an audience");
    }
    const auto value = static_cast<Audience>(audience.audience());  // the numbers are the same
    if (!audiences.emplace(audience.field(), value).second) {
      return FieldError(path, "is named for the second time");
    }
  }
  return audiences;
}

absl::Status SetNamed(const v1::Profile& profile, absl::string_view path, ProfileUpdate& update) {
  if (path == "pseudonym") {
    update.pseudonym = profile.pseudonym();
  } else if (path == "newcomer") {
    update.newcomer.emplace();
    if (profile.has_newcomer()) *update.newcomer = FromProto(profile.newcomer());
  } else if (path == "sponsor") {
    update.sponsor.emplace();
    if (profile.has_sponsor()) *update.sponsor = FromProto(profile.sponsor());
  } else if (path == "audiences") {
    ASSIGN_OR_RETURN(update.audiences, AudiencesFromProto(profile));
  } else {
    return FieldError("update_mask",
                      "may name pseudonym, newcomer, sponsor and audiences, nothing else");
  }
  return absl::OkStatus();
}

}  // namespace

DeviceProof FromProto(const v1::DeviceProof& proof) {
  return {proof.public_key(), proof.challenge(), proof.signature()};
}

void ToProto(const Device& device, v1::Device* out) {
  out->set_name(device.id.Name());
  out->set_member(device.member.Name());
  out->set_public_key(device.public_key);
  *out->mutable_create_time() = ToTimestamp(device.create_time);
  if (device.revoke_time.has_value()) {
    *out->mutable_revoke_time() = ToTimestamp(*device.revoke_time);
  }
}

void ToProto(const AccessToken& token, v1::AccessToken* out) {
  out->set_token(token.token.Reveal());
  *out->mutable_expire_time() = ToTimestamp(token.expire_time);
  out->set_member(token.member.Name());
  out->set_device(token.device.Name());
}

void ToProto(const ConsentReceipt& receipt, v1::ConsentReceipt* out) {
  out->set_name(receipt.id.Name());
  out->set_purpose(static_cast<v1::ConsentPurpose>(receipt.purpose));
  out->set_notice_version(receipt.notice_version);
  out->set_notice_language(receipt.notice_language);
  *out->mutable_grant_time() = ToTimestamp(receipt.grant_time);
  if (receipt.withdraw_time.has_value()) {
    *out->mutable_withdraw_time() = ToTimestamp(*receipt.withdraw_time);
  }
}

absl::Status ToProto(const Profile& profile, v1::Profile* out) {
  out->set_name(profile.member.Name());
  out->set_pseudonym(profile.pseudonym);
  bool readable = true;
  if (profile.newcomer.has_value()) {
    readable = out->mutable_newcomer()->ParseFromString(*profile.newcomer);
  }
  if (profile.sponsor.has_value()) {
    readable = out->mutable_sponsor()->ParseFromString(*profile.sponsor) && readable;
    if (profile.attest_time.has_value()) {
      *out->mutable_sponsor()->mutable_attest_time() = ToTimestamp(*profile.attest_time);
    }
  }
  if (!readable) {
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
        .Message("stored traits cannot be read");
  }
  for (const auto& [field, audience] : profile.audiences) {
    auto* added = out->add_audiences();
    added->set_field(field);
    added->set_audience(static_cast<v1::Audience>(audience));
  }
  out->set_etag(EtagOf(profile));
  if (profile.update_time.has_value()) {
    *out->mutable_update_time() = ToTimestamp(*profile.update_time);
  }
  return absl::OkStatus();
}

absl::StatusOr<ProfileUpdate> FromProto(const v1::UpdateProfileRequest& request) {
  const v1::Profile& profile = request.profile();
  ProfileUpdate update;
  update.etag = profile.etag();
  for (const std::string& path : request.update_mask().paths()) {
    RETURN_IF_ERROR(SetNamed(profile, path, update));
  }
  if (request.update_mask().paths_size() > 0) return update;
  if (!profile.pseudonym().empty()) update.pseudonym = profile.pseudonym();
  if (profile.has_newcomer()) update.newcomer = FromProto(profile.newcomer());
  if (profile.has_sponsor()) update.sponsor = FromProto(profile.sponsor());
  if (profile.audiences_size() > 0) {
    ASSIGN_OR_RETURN(update.audiences, AudiencesFromProto(profile));
  }
  return update;
}

}  // namespace handrail::profiles

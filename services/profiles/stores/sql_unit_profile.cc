// Profiles, consent receipts and the snapshot that is made of them.
#include <utility>

#include "common/base/status.h"
#include "services/profiles/domain/byte_codec.h"
#include "services/profiles/stores/sql_unit.h"

namespace handrail::profiles {
namespace {

using storage::Blob;
using storage::Null;
using storage::Row;
using storage::Rows;
using storage::Value;

constexpr SealedColumn kPseudonymColumn = {"profiles", "sealed_pseudonym"};
constexpr SealedColumn kNewcomerColumn = {"profiles", "sealed_newcomer"};
constexpr SealedColumn kSponsorColumn = {"profiles", "sealed_sponsor"};
constexpr SealedColumn kAudiencesColumn = {"profiles", "sealed_audiences"};
constexpr SealedColumn kNoticeLanguageColumn = {"consent_receipts", "sealed_notice_language"};

Value ToValue(const std::optional<absl::Time>& time) {
  if (time.has_value()) return *time;
  return Null{};
}

}  // namespace

absl::StatusOr<Profile> SqlUnit::GetProfile(const MemberId& member) {
  Profile profile;
  profile.member = member;
  ASSIGN_OR_RETURN(const Rows rows,
                   transaction_.Query("SELECT sealed_pseudonym, sealed_newcomer, sealed_sponsor, "
                                      "sealed_audiences, attested_at, revision, updated_at "
                                      "FROM profiles WHERE member_id = $1",
                                      {member}));
  if (rows.empty()) return profile;
  const Row& row = rows.front();
  ASSIGN_OR_RETURN(profile.pseudonym, Open(member, kPseudonymColumn, member.Bytes(), row.Bytes(0)));
  if (!row.IsNull(1)) {
    ASSIGN_OR_RETURN(profile.newcomer, Open(member, kNewcomerColumn, member.Bytes(), row.Bytes(1)));
  }
  if (!row.IsNull(2)) {
    ASSIGN_OR_RETURN(profile.sponsor, Open(member, kSponsorColumn, member.Bytes(), row.Bytes(2)));
  }
  ASSIGN_OR_RETURN(const std::string audiences,
                   Open(member, kAudiencesColumn, member.Bytes(), row.Bytes(3)));
  ASSIGN_OR_RETURN(profile.audiences, DecodeAudiences(audiences));
  if (!row.IsNull(4)) profile.attest_time = row.Time(4);
  profile.revision = row.Int(5);
  profile.update_time = row.Time(6);
  return profile;
}

absl::Status SqlUnit::PutProfile(const Profile& profile) {
  const MemberId& member = profile.member;
  ASSIGN_OR_RETURN(const Value pseudonym,
                   Seal(member, kPseudonymColumn, member.Bytes(), profile.pseudonym));
  Value newcomer = Null{};
  if (profile.newcomer.has_value()) {
    ASSIGN_OR_RETURN(newcomer, Seal(member, kNewcomerColumn, member.Bytes(), *profile.newcomer));
  }
  Value sponsor = Null{};
  if (profile.sponsor.has_value()) {
    ASSIGN_OR_RETURN(sponsor, Seal(member, kSponsorColumn, member.Bytes(), *profile.sponsor));
  }
  ASSIGN_OR_RETURN(const Value audiences, Seal(member, kAudiencesColumn, member.Bytes(),
                                               EncodeAudiences(profile.audiences)));
  return transaction_
      .Execute(
          "INSERT INTO profiles (member_id, sealed_pseudonym, sealed_newcomer, "
          "sealed_sponsor, sealed_audiences, attested_at, revision, updated_at) "
          "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
          "ON CONFLICT (member_id) DO UPDATE SET "
          "sealed_pseudonym = excluded.sealed_pseudonym, "
          "sealed_newcomer = excluded.sealed_newcomer, "
          "sealed_sponsor = excluded.sealed_sponsor, "
          "sealed_audiences = excluded.sealed_audiences, "
          "attested_at = excluded.attested_at, revision = excluded.revision, "
          "updated_at = excluded.updated_at",
          {member, pseudonym, newcomer, sponsor, audiences, ToValue(profile.attest_time),
           profile.revision, profile.update_time.value_or(absl::UnixEpoch())})
      .status();
}

absl::Status SqlUnit::InsertReceipt(const ConsentReceipt& receipt) {
  ASSIGN_OR_RETURN(const Value language, Seal(receipt.member, kNoticeLanguageColumn,
                                              receipt.id.Bytes(), receipt.notice_language));
  return transaction_
      .Execute(
          "INSERT INTO consent_receipts (receipt_id, member_id, purpose, notice_version, "
          "sealed_notice_language, granted_at) VALUES ($1, $2, $3, $4, $5, $6)",
          {receipt.id, receipt.member, static_cast<int>(receipt.purpose), receipt.notice_version,
           language, receipt.grant_time})
      .status();
}

absl::Status SqlUnit::SetReceiptWithdrawn(const ReceiptId& id, absl::Time withdraw_time) {
  return transaction_
      .Execute("UPDATE consent_receipts SET withdrawn_at = $2 WHERE receipt_id = $1",
               {id, withdraw_time})
      .status();
}

absl::StatusOr<ConsentReceipt> SqlUnit::ReadReceipt(const Row& row) {
  ConsentReceipt receipt;
  receipt.id = row.Id<ReceiptId>(0);
  receipt.member = row.Id<MemberId>(1);
  receipt.purpose = static_cast<ConsentPurpose>(row.Int(2));
  receipt.notice_version = std::string(row.Text(3));
  receipt.grant_time = row.Time(5);
  if (!row.IsNull(6)) receipt.withdraw_time = row.Time(6);
  ASSIGN_OR_RETURN(receipt.notice_language,
                   Open(receipt.member, kNoticeLanguageColumn, receipt.id.Bytes(), row.Bytes(4)));
  return receipt;
}

absl::StatusOr<std::optional<ConsentReceipt>> SqlUnit::FindLatestReceipt(const MemberId& member,
                                                                         ConsentPurpose purpose) {
  // The one that stands, if any, before those of the same instant that do not.
  ASSIGN_OR_RETURN(
      const Rows rows,
      transaction_.Query("SELECT receipt_id, member_id, purpose, notice_version, "
                         "sealed_notice_language, granted_at, withdrawn_at FROM consent_receipts "
                         "WHERE member_id = $1 AND purpose = $2 "
                         "ORDER BY CASE WHEN withdrawn_at IS NULL THEN 0 ELSE 1 END, "
                         "granted_at DESC, receipt_id DESC LIMIT 1",
                         {member, static_cast<int>(purpose)}));
  if (rows.empty()) return std::optional<ConsentReceipt>();
  ASSIGN_OR_RETURN(ConsentReceipt receipt, ReadReceipt(rows.front()));
  return std::optional<ConsentReceipt>(std::move(receipt));
}

absl::StatusOr<Page<ConsentReceipt>> SqlUnit::ListReceipts(const MemberId& member,
                                                           const PageRequest& page) {
  const PageCursor after = page.after.value_or(PageCursor{absl::InfiniteFuture(), ""});
  ASSIGN_OR_RETURN(
      const Rows rows,
      transaction_.Query("SELECT receipt_id, member_id, purpose, notice_version, "
                         "sealed_notice_language, granted_at, withdrawn_at FROM consent_receipts "
                         "WHERE member_id = $1 AND (granted_at, receipt_id) < ($2, $3) "
                         "ORDER BY granted_at DESC, receipt_id DESC LIMIT $4",
                         {member, after.time, Blob{after.id}, page.limit + 1}));
  return MakePage<ConsentReceipt>(
      rows, page.limit, [this](const Row& row) { return ReadReceipt(row); },
      [](const ConsentReceipt& receipt) {
        return PageCursor{receipt.grant_time, std::string(receipt.id.Bytes())};
      });
}

absl::StatusOr<std::optional<MemberSnapshot>> SqlUnit::GetSnapshot(const MemberId& id) {
  ASSIGN_OR_RETURN(const std::optional<Member> member, FindMember(id));
  if (!member.has_value()) return std::optional<MemberSnapshot>();
  MemberSnapshot snapshot;
  snapshot.member = id;
  snapshot.version = member->version;
  snapshot.standing = member->standing;
  ASSIGN_OR_RETURN(const Rows devices,
                   transaction_.Query("SELECT device_id, member_id, sealed_public_key, created_at, "
                                      "revoked_at FROM devices WHERE member_id = $1 "
                                      "AND revoked_at IS NULL ORDER BY created_at, device_id",
                                      {id}));
  for (const Row& row : devices) {
    snapshot.devices.push_back(row.Id<DeviceId>(0));
    // One that cannot be read holds up nothing of what the others must hear.
    const auto device = ReadDevice(row);
    snapshot.device_keys.push_back(device.ok() ? device->public_key : "");
  }
  ASSIGN_OR_RETURN(const Rows consents,
                   transaction_.Query("SELECT purpose FROM consent_receipts WHERE member_id = $1 "
                                      "AND withdrawn_at IS NULL",
                                      {id}));
  for (const Row& row : consents) {
    const auto purpose = static_cast<ConsentPurpose>(row.Int(0));
    if (purpose == ConsentPurpose::kMatching) snapshot.consents_to_matching = true;
    if (purpose == ConsentPurpose::kHealthData) snapshot.consents_to_health_data = true;
  }
  if (snapshot.MayShareTraits()) {
    ASSIGN_OR_RETURN(snapshot.avoided, AvoidedPairs(id));
  }
  ASSIGN_OR_RETURN(Profile profile, GetProfile(id));
  snapshot.newcomer = std::move(profile.newcomer);
  snapshot.sponsor = std::move(profile.sponsor);
  snapshot.audiences = std::move(profile.audiences);
  snapshot.attest_time = profile.attest_time;
  return std::optional<MemberSnapshot>(std::move(snapshot));
}

}  // namespace handrail::profiles

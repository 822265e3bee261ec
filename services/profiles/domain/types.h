#ifndef HANDRAIL_SERVICES_PROFILES_DOMAIN_TYPES_H_
#define HANDRAIL_SERVICES_PROFILES_DOMAIN_TYPES_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/secret.h"

namespace handrail::profiles {

// The numbers of these enums are stored and equal those of the protos.

// Whether a person may take part.
enum class Standing { kGood = 1, kSuspended = 2, kErased = 3 };

enum class ConsentPurpose { kMatching = 1, kHealthData = 2 };

// Who may see a field of a profile.
enum class Audience { kMatchingOnly = 1, kCandidate = 2, kPaired = 3, kNobody = 4 };

// The services that keep a copy of what they need to know of a member.
enum class Receiver { kMatching = 1, kMessaging = 2 };
inline constexpr std::array<Receiver, 2> kReceivers = {Receiver::kMatching, Receiver::kMessaging};

// A person, as far as identity goes: a set of devices.
struct Member {
  MemberId id;
  int64_t version = 1;  // rises by one with every change that another service must hear of
  Standing standing = Standing::kGood;
  absl::Time create_time;
};

// An Ed25519 key that never leaves its owner's device.
struct Device {
  DeviceId id;
  MemberId member;
  std::string public_key;  // 32 bytes
  absl::Time create_time;
  std::optional<absl::Time> revoke_time;

  friend bool operator==(const Device&, const Device&) = default;
};

// What the holder of a key must sign: `signing_context` followed by `bytes`.
struct Challenge {
  std::string bytes;  // 32
  std::string signing_context;
  absl::Time expire_time;
};

struct DeviceProof {
  std::string public_key;  // 32 bytes
  std::string challenge;   // 32 bytes
  std::string signature;   // 64 bytes
};

struct AccessToken {
  Secret<std::string> token;
  absl::Time expire_time;
  MemberId member;
  DeviceId device;
};

struct SignedInDevice {
  Device device;
  AccessToken token;
};

struct Revocation {
  DeviceId device;
  absl::Time revoke_time;
};

// What a member says of themselves. The two sides are serialized traits that the edge validated;
// this domain does not look inside.
struct Profile {
  MemberId member;
  std::string pseudonym;
  std::optional<std::string> newcomer;
  std::optional<std::string> sponsor;
  // By path within the profile, such as "newcomer.person.age_band".
  std::map<std::string, Audience> audiences;
  // When the sponsor last confirmed that they are available.
  std::optional<absl::Time> attest_time;
  int64_t revision = 0;  // 0 means that nothing was written yet
  std::optional<absl::Time> update_time;

  friend bool operator==(const Profile&, const Profile&) = default;
};

struct ConsentReceipt {
  ReceiptId id;
  MemberId member;
  ConsentPurpose purpose = ConsentPurpose::kMatching;
  std::string notice_version;
  std::string notice_language;  // BCP 47
  absl::Time grant_time;
  std::optional<absl::Time> withdraw_time;

  friend bool operator==(const ConsentReceipt&, const ConsentReceipt&) = default;
};

// One person does not want to meet another. Holds both ways and for good.
struct Block {
  BlockId id;
  MemberId blocker;
  MemberId blocked;
  absl::Time create_time;

  friend bool operator==(const Block&, const Block&) = default;
};

// Where two people know each other from. The numbers are stored and equal those of profiles.v1.
enum class Relation {
  kUnspecified = 0,
  kWorkplace = 1,
  kHousehold = 2,
  kSameTreatment = 3,
  kClinician = 4,
  kEmployer = 5,
  kFacilityStaff = 6,
};
// One has a say over the other, or cares for them: no peers (domain.md H16).
constexpr bool IsDualRole(Relation relation) { return relation >= Relation::kClinician; }

// Somebody whom a member knows and does not wish to be matched with.
struct AvoidedMember {
  MemberId member;  // whose list it is
  MemberId other;
  Relation relation = Relation::kUnspecified;
  absl::Time create_time;

  friend bool operator==(const AvoidedMember&, const AvoidedMember&) = default;
};

// What matching must know of an AvoidedMember.
struct AvoidedPair {
  MemberId other;
  bool dual_role = false;

  friend bool operator==(const AvoidedPair&, const AvoidedPair&) = default;
};

// What the other services may know of a member, as of `version`.
struct MemberSnapshot {
  MemberId member;
  int64_t version = 0;
  Standing standing = Standing::kGood;
  bool consents_to_matching = false;
  bool consents_to_health_data = false;
  std::optional<std::string> newcomer;
  std::optional<std::string> sponsor;
  std::map<std::string, Audience> audiences;
  std::optional<absl::Time> attest_time;
  std::vector<DeviceId> devices;  // not revoked
  // Of each of `devices`, in the same order: 32 bytes, or none when it cannot be read.
  std::vector<std::string> device_keys;
  std::vector<AvoidedPair> avoided;

  // Traits are about health: without both consents they stay here.
  bool MayShareTraits() const { return consents_to_matching && consents_to_health_data; }
};

// Where a page begins: after the row with this time and id.
struct PageCursor {
  absl::Time time;
  std::string id;  // 16 bytes

  friend bool operator==(const PageCursor&, const PageCursor&) = default;
};

struct PageRequest {
  std::optional<PageCursor> after;
  int limit = 50;
};

template <typename T>
struct Page {
  std::vector<T> items;
  std::optional<PageCursor> next;  // none on the last page
};

struct CaseTag {
  static constexpr absl::string_view kCollection = "reports";
};
// A case has the id of the report that opened it.
using CaseId = Id<CaseTag>;

// What somebody reported, for the people who look after cases.
struct Case {
  CaseId id;
  MemberId reporter;
  Secret<std::string> evidence;  // the report, as the service that verified it tells it
  absl::Time report_time;
  absl::Time open_time;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_DOMAIN_TYPES_H_

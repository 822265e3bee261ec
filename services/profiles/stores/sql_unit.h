#ifndef HANDRAIL_SERVICES_PROFILES_STORES_SQL_UNIT_H_
#define HANDRAIL_SERVICES_PROFILES_STORES_SQL_UNIT_H_

#include <optional>
#include <string>
#include <vector>

#include "common/storage/database.h"
#include "services/profiles/domain/store.h"
#include "services/profiles/stores/member_cipher.h"

namespace handrail::profiles {

// The statements of profiles over one SQL transaction. The functions are in sql_unit_*.cc, each
// with its SQL.
class SqlUnit final : public Unit {
 public:
  enum class Mode { kRead, kWrite };

  SqlUnit(storage::Transaction& transaction, const MemberCipher& cipher, Mode mode)
      : transaction_(transaction), cipher_(cipher), mode_(mode) {}

  absl::StatusOr<std::optional<std::string>> FindAnswer(const Call& call) override;
  absl::Status RecordAnswer(const Call& call, absl::Time now, absl::string_view answer) override;

  absl::StatusOr<bool> UseChallenge(absl::string_view challenge, absl::Time expire_time) override;
  absl::Status InsertMember(const Member& member) override;
  absl::StatusOr<std::optional<Member>> FindMember(const MemberId& id) override;
  absl::StatusOr<std::optional<Member>> LockMember(const MemberId& id) override;
  absl::Status BumpVersion(const MemberId& id, absl::Time now,
                           absl::Span<const Receiver> receivers) override;
  absl::StatusOr<bool> InsertDevice(const Device& device) override;
  absl::StatusOr<std::optional<Device>> FindDevice(const DeviceId& id) override;
  absl::StatusOr<std::optional<Device>> FindDeviceByKey(absl::string_view public_key) override;
  absl::StatusOr<Page<Device>> ListDevices(const MemberId& member,
                                           const PageRequest& page) override;
  absl::StatusOr<int> CountActiveDevices(const MemberId& member) override;
  absl::StatusOr<int> CountDevicesSince(const MemberId& member, absl::Time since) override;
  absl::Status SetDeviceRevoked(const DeviceId& id, absl::Time revoke_time) override;
  absl::StatusOr<Page<Revocation>> ListRevocations(absl::Time since,
                                                   const PageRequest& page) override;

  absl::StatusOr<Profile> GetProfile(const MemberId& member) override;
  absl::Status PutProfile(const Profile& profile) override;
  absl::Status InsertReceipt(const ConsentReceipt& receipt) override;
  absl::Status SetReceiptWithdrawn(const ReceiptId& id, absl::Time withdraw_time) override;
  absl::StatusOr<std::optional<ConsentReceipt>> FindLatestReceipt(const MemberId& member,
                                                                  ConsentPurpose purpose) override;
  absl::StatusOr<Page<ConsentReceipt>> ListReceipts(const MemberId& member,
                                                    const PageRequest& page) override;
  absl::StatusOr<std::optional<MemberSnapshot>> GetSnapshot(const MemberId& member) override;

  absl::StatusOr<Block> InsertBlock(const Block& block) override;
  absl::StatusOr<std::vector<Receiver>> UnconfirmedReceivers(const BlockId& id) override;
  absl::StatusOr<Page<Block>> ListBlocks(const MemberId& blocker, const PageRequest& page) override;
  absl::StatusOr<int> CountBlocks(const MemberId& blocker) override;
  absl::StatusOr<std::vector<Block>> BlocksConcerning(const MemberId& member) override;

  absl::StatusOr<AvoidedMember> PutAvoided(const AvoidedMember& avoided) override;
  absl::StatusOr<bool> RemoveAvoided(const MemberId& member, const MemberId& other) override;
  absl::StatusOr<std::optional<AvoidedMember>> FindAvoided(const MemberId& member,
                                                           const MemberId& other) override;
  absl::StatusOr<int> CountAvoided(const MemberId& member) override;
  absl::StatusOr<Page<AvoidedMember>> ListAvoided(const MemberId& member,
                                                  const PageRequest& page) override;

  absl::Status InsertCase(const Case& opened) override;
  absl::StatusOr<std::optional<Case>> FindCase(const CaseId& id) override;

  // For the outbox: the block itself, which must exist.
  absl::StatusOr<Block> GetBlock(const BlockId& id);

 private:
  // The member's key, unwrapped; the last one is kept, since a unit mostly concerns one member.
  // DATA_LOSS / DATA_CORRUPT when there is none: the member was erased.
  absl::StatusOr<const crypto::MemberKey*> KeyOf(const MemberId& member);
  // `row` is the id of the row; it is bound into the ciphertext.
  absl::StatusOr<storage::Value> Seal(const MemberId& member, const SealedColumn& column,
                                      absl::string_view row, absl::string_view plain);
  absl::StatusOr<std::string> Open(const MemberId& member, const SealedColumn& column,
                                   absl::string_view row, absl::string_view sealed);

  absl::StatusOr<Device> ReadDevice(const storage::Row& row);
  absl::StatusOr<ConsentReceipt> ReadReceipt(const storage::Row& row);
  absl::StatusOr<AvoidedMember> ReadAvoided(const storage::Row& row);
  // By the other's id.
  absl::StatusOr<std::vector<AvoidedPair>> AvoidedPairs(const MemberId& member);
  absl::Status UpsertOutbox(Receiver receiver, OutboxEntry::Kind kind, const RawId& subject,
                            int64_t version, absl::Time now);

  storage::Transaction& transaction_;
  const MemberCipher& cipher_;
  const Mode mode_;
  std::optional<crypto::MemberKey> key_;
  MemberId key_member_;
};

// A page from rows fetched with one more than `limit`, which says that there is a next page.
// `parse` turns a row into an item or an error; `cursor` says where an item stands.
template <typename T, typename Parse, typename Cursor>
absl::StatusOr<Page<T>> MakePage(const storage::Rows& rows, int limit, Parse parse, Cursor cursor) {
  Page<T> page;
  for (const storage::Row& row : rows) {
    if (page.items.size() == static_cast<size_t>(limit)) {
      page.next = cursor(page.items.back());
      break;
    }
    ASSIGN_OR_RETURN(T item, parse(row));
    page.items.push_back(std::move(item));
  }
  return page;
}

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_STORES_SQL_UNIT_H_

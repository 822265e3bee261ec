#include "services/profiles/domain/consent.h"

#include <utility>

#include "services/profiles/domain/member_guard.h"

namespace handrail::profiles {
namespace {

// Messaging does not act on consent: withdrawing it ends no conversation.
constexpr std::array<Receiver, 1> kWhoHears = {Receiver::kMatching};

}  // namespace

Consent::Consent(Store& store, const Clock& clock, Random& random, std::function<void()> changed)
    : store_(store), clock_(clock), random_(random), changed_(std::move(changed)) {}

absl::StatusOr<ConsentReceipt> Consent::Grant(const Call& call, ConsentPurpose purpose,
                                              const Notice& notice) {
  const absl::Time now = clock_.Now();
  absl::StatusOr<ConsentReceipt> receipt = WriteOnce<ConsentReceipt>(
      store_, call, now, [&](Unit& unit) -> absl::StatusOr<ConsentReceipt> {
        ASSIGN_OR_RETURN(const std::optional<ConsentReceipt> latest,
                         unit.FindLatestReceipt(call.who.member, purpose));
        if (latest.has_value() && !latest->withdraw_time.has_value()) {
          if (latest->notice_version == notice.version) return *latest;
          RETURN_IF_ERROR(unit.SetReceiptWithdrawn(latest->id, now));
        }
        const ConsentReceipt granted{ReceiptId::Random(random_),
                                     call.who.member,
                                     purpose,
                                     notice.version,
                                     notice.language,
                                     now,
                                     std::nullopt};
        RETURN_IF_ERROR(unit.InsertReceipt(granted));
        RETURN_IF_ERROR(unit.BumpVersion(call.who.member, now, kWhoHears));
        return granted;
      });
  if (receipt.ok()) changed_();
  return receipt;
}

absl::StatusOr<ConsentReceipt> Consent::Withdraw(const Call& call, ConsentPurpose purpose) {
  const absl::Time now = clock_.Now();
  absl::StatusOr<ConsentReceipt> receipt = WriteOnce<ConsentReceipt>(
      store_, call, now, [&](Unit& unit) -> absl::StatusOr<ConsentReceipt> {
        ASSIGN_OR_RETURN(std::optional<ConsentReceipt> latest,
                         unit.FindLatestReceipt(call.who.member, purpose));
        if (!latest.has_value()) return NotFoundError();
        if (latest->withdraw_time.has_value()) return *latest;
        latest->withdraw_time = now;
        RETURN_IF_ERROR(unit.SetReceiptWithdrawn(latest->id, now));
        RETURN_IF_ERROR(unit.BumpVersion(call.who.member, now, kWhoHears));
        return *latest;
      });
  if (receipt.ok()) changed_();
  return receipt;
}

absl::StatusOr<Page<ConsentReceipt>> Consent::List(const Call& call, const PageRequest& page) {
  return ReadOwn<Page<ConsentReceipt>>(
      store_, call, [&](Unit& unit) { return unit.ListReceipts(call.who.member, page); });
}

}  // namespace handrail::profiles

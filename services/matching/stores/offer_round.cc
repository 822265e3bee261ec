#include "services/matching/stores/offer_round.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/macros.h"

namespace handrail::matching {
namespace {

// Of one sponsor in one unit; a longer unit keeps its rows from everybody else for longer.
constexpr size_t kOffersAUnit = 8;

// The unit changed nothing for sure, because of one of its offers.
bool IsRefusal(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsAborted(status) ||
         absl::IsAlreadyExists(status);
}

}  // namespace

OfferRound::OfferRound(storage::Database& database, const LedgerContext& context,
                       absl::Span<const Proposal> proposals, Step step)
    : database_(database),
      context_(context),
      proposals_(proposals),
      step_(std::move(step)),
      made_(proposals.size()),
      outcomes_(proposals.size(), absl::UnknownError("not answered")),
      missing_(proposals.size()) {}

std::vector<OfferRound::Outcome> OfferRound::Run(absl::Time deadline, absl::Time now) {
  deadline_ = deadline;
  now_ = now;
  std::map<MemberId, Places> by_sponsor;
  for (size_t place = 0; place < proposals_.size(); ++place) {
    Places& places = by_sponsor[proposals_[place].sponsor];
    places.push_back(place);
    if (places.size() == kOffersAUnit) Start(std::exchange(places, {}));
  }
  for (auto& [sponsor, places] : by_sponsor) {
    if (!places.empty()) Start(std::move(places));
  }
  MutexLock lock(mutex_);
  while (missing_ > 0) answered_.Wait(mutex_);
  return std::move(outcomes_);
}

void OfferRound::Start(Places places) {
  const auto work = [this, places](storage::Transaction& tx) { return MakeAll(tx, places); };
  database_.WriteAsync(deadline_, work,
                       [this, places](const absl::Status& status) { Finish(places, status); });
}

absl::Status OfferRound::MakeAll(storage::Transaction& tx, const Places& places) {
  if (places.size() > 1) RETURN_IF_ERROR(LockMembers(tx, places));
  for (const size_t place : places) {
    made_[place] = {};
    LedgerSteps steps(tx, context_, now_, made_[place].effects);
    RETURN_IF_ERROR(step_(steps, proposals_[place], made_[place].value));
  }
  return absl::OkStatus();
}

// All of them at once, in the order in which everybody locks members: one after the other, two
// units would wait for each other.
absl::Status OfferRound::LockMembers(storage::Transaction& tx, const Places& places) const {
  if (!context_.locks_rows) return absl::OkStatus();
  storage::Args args = {proposals_[places.front()].sponsor};
  std::string list = "$1";
  for (const size_t place : places) {
    args.push_back(proposals_[place].newcomer);
    absl::StrAppend(&list, ", $", args.size());
  }
  return tx
      .Query(
          absl::StrCat("SELECT id FROM members WHERE id IN (", list, ") ORDER BY id {for_update}"),
          args)
      .status();
}

void OfferRound::Finish(const Places& places, const absl::Status& status) {
  if (places.size() > 1 && IsRefusal(status)) {
    for (const size_t place : places) Start({place});
    return;
  }
  MutexLock lock(mutex_);
  for (const size_t place : places) {
    if (status.ok()) {
      outcomes_[place] = std::move(made_[place]);
    } else {
      outcomes_[place] = status;
    }
  }
  missing_ -= places.size();
  if (missing_ == 0) answered_.SignalAll();
}

}  // namespace handrail::matching

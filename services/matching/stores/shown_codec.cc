#include "services/matching/stores/shown_codec.h"

#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "services/matching/stores/packed.h"

namespace handrail::matching {
namespace {

constexpr int64_t kForm = 1;
constexpr size_t kIdHalf = RawId::kBytes / 2;

absl::Status CorruptError() {
  return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
      .Message("a stored list of candidates cannot be read");
}

// Takes numbers from the front. After the first fault everything reads as zero and ok() is false.
class Numbers {
 public:
  explicit Numbers(absl::Span<const int64_t> rest) : rest_(rest) {}

  int64_t Next() {
    if (rest_.empty()) {
      ok_ = false;
      return 0;
    }
    const int64_t number = rest_.front();
    rest_.remove_prefix(1);
    return number;
  }
  // 0..`last`.
  int64_t UpTo(int64_t last) {
    const int64_t number = Next();
    if (number < 0 || number > last) ok_ = false;
    return ok_ ? number : 0;
  }
  bool ok() const { return ok_; }
  bool AtEnd() const { return rest_.empty(); }

 private:
  absl::Span<const int64_t> rest_;
  bool ok_ = true;
};

void PutPerson(const ShownPerson& person, std::vector<int64_t>& out) {
  const CandidateView& view = person.view;
  for (size_t half = 0; half < 2; ++half) {
    uint64_t bits = 0;
    for (const char byte : person.sponsor.Bytes().substr(half * kIdHalf, kIdHalf)) {
      bits = bits << 8 | static_cast<uint8_t>(byte);
    }
    out.push_back(static_cast<int64_t>(bits));
  }
  out.push_back(static_cast<int64_t>(view.reasons.size()));
  for (const MatchReason reason : view.reasons) out.push_back(static_cast<int64_t>(reason));
  out.push_back(static_cast<int64_t>(view.languages.size()));
  for (const Language language : view.languages) out.push_back(language.code());
  out.push_back(view.modalities.bits());
  out.push_back(static_cast<int64_t>(view.age_band));
  out.push_back(static_cast<int64_t>(view.recovery_time));
  out.push_back(view.communities.bits());
  for (const auto& factor : view.factors) {
    out.push_back(factor.has_value() ? 1 : 0);
    if (!factor.has_value()) continue;
    out.push_back(std::bit_cast<int64_t>(factor->points));
    out.push_back(std::bit_cast<int64_t>(factor->max_points));
  }
  out.push_back(view.score);
  out.push_back(static_cast<int64_t>(view.shared_by));
}

absl::StatusOr<MemberId> TakeMember(Numbers& in) {
  std::string bytes;
  for (size_t half = 0; half < 2; ++half) {
    const auto bits = static_cast<uint64_t>(in.Next());
    for (size_t i = kIdHalf; i > 0; --i) {
      bytes.push_back(static_cast<char>(bits >> (8 * (i - 1))));
    }
  }
  return MemberId::FromBytes(bytes);
}

absl::StatusOr<ShownPerson> TakePerson(Numbers& in) {
  ShownPerson person;
  ASSIGN_OR_RETURN(person.sponsor, TakeMember(in));
  CandidateView& view = person.view;
  for (int64_t n = in.UpTo(kMatchReasonCount); n > 0; --n) {
    view.reasons.push_back(static_cast<MatchReason>(in.UpTo(kMatchReasonCount - 1)));
  }
  for (int64_t n = in.UpTo(kMaxLanguages); n > 0; --n) {
    view.languages.push_back(Language::FromCode(static_cast<uint16_t>(in.UpTo(UINT16_MAX))));
  }
  view.modalities = EnumSet<Modality>::FromBits(static_cast<uint32_t>(in.UpTo(UINT32_MAX)));
  view.age_band = static_cast<AgeBand>(in.UpTo(static_cast<int64_t>(AgeBand::k65Plus)));
  view.recovery_time =
      static_cast<RecoveryBand>(in.UpTo(static_cast<int64_t>(RecoveryBand::kFiveYearsOrMore)));
  view.communities = EnumSet<Community>::FromBits(static_cast<uint32_t>(in.UpTo(UINT32_MAX)));
  for (auto& factor : view.factors) {
    if (in.UpTo(1) == 0) continue;
    const double points = std::bit_cast<double>(in.Next());
    factor = Explanation::Factor{points, std::bit_cast<double>(in.Next())};
  }
  view.score = static_cast<int>(in.UpTo(100));
  view.shared_by = static_cast<size_t>(in.UpTo(INT32_MAX));
  return person;
}

}  // namespace

std::string EncodeShown(const ShownList& list) {
  std::vector<int64_t> numbers = {kForm, list.suitable_count,
                                  static_cast<int64_t>(list.people.size())};
  for (const ShownPerson& person : list.people) PutPerson(person, numbers);
  return PackNumbers(numbers);
}

absl::StatusOr<ShownList> DecodeShown(absl::string_view bytes) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> numbers,
                   UnpackNumbers(bytes, bytes.size() / sizeof(int64_t)));
  Numbers in(numbers);
  if (in.Next() != kForm) return CorruptError();
  ShownList list;
  list.suitable_count = static_cast<int>(in.UpTo(INT32_MAX));
  for (int64_t n = in.UpTo(kMaxChosen); n > 0; --n) {
    ASSIGN_OR_RETURN(ShownPerson person, TakePerson(in));
    list.people.push_back(std::move(person));
  }
  if (!in.ok() || !in.AtEnd()) return CorruptError();
  return list;
}

}  // namespace handrail::matching

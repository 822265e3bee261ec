#include "services/matching/domain/types.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace handrail::matching {
namespace {

bool IsRegionText(absl::string_view text) {
  if (text.empty() || text.size() > 10) return false;
  for (const char c : text) {
    const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!letter && !(c >= '0' && c <= '9') && c != '-') return false;
  }
  return true;
}

}  // namespace

std::string PoolKey::ToString() const {
  return absl::StrCat(static_cast<int>(philosophy), ".", region);
}

std::optional<PoolKey> PoolKey::FromString(absl::string_view text) {
  const size_t dot = text.find('.');
  if (dot == absl::string_view::npos) return std::nullopt;
  int number = 0;
  if (!absl::SimpleAtoi(text.substr(0, dot), &number)) return std::nullopt;
  if (number <= 0 || number >= kPhilosophyCount) return std::nullopt;
  const absl::string_view region = text.substr(dot + 1);
  if (!IsRegionText(region)) return std::nullopt;
  return PoolKey{static_cast<Philosophy>(number), std::string(region)};
}

PoolKey PoolForTicket(const NewcomerTraits& newcomer, Philosophy philosophy) {
  const EnumSet<Modality> modalities = newcomer.person.modalities;
  const bool only_in_person =
      newcomer.requires_in_person || modalities == EnumSet<Modality>{Modality::kInPersonPublic};
  const CoarsePlace& place = newcomer.person.place;
  if (only_in_person && IsRegionText(place.region)) return {philosophy, place.region};
  if (only_in_person && IsRegionText(place.country)) return {philosophy, place.country};
  return {philosophy, std::string(PoolKey::kOnline)};
}

std::vector<PoolKey> PoolsForSponsor(const SponsorTraits& sponsor) {
  EnumSet<Modality> remote = sponsor.person.modalities;
  const bool in_person = remote.Contains(Modality::kInPersonPublic);
  remote.Remove(Modality::kInPersonPublic);
  const CoarsePlace& place = sponsor.person.place;
  std::vector<PoolKey> pools;
  for (const SponsorProgram& program : sponsor.programs) {
    if (!remote.empty()) pools.push_back({program.philosophy, std::string(PoolKey::kOnline)});
    if (!in_person) continue;
    if (IsRegionText(place.region)) pools.push_back({program.philosophy, place.region});
    if (IsRegionText(place.country) && place.country != place.region) {
      pools.push_back({program.philosophy, place.country});
    }
  }
  return pools;
}

}  // namespace handrail::matching

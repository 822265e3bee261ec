#include "services/matching/handlers/candidate_proto.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/domain/score.h"
#include "services/matching/handlers/ticket_proto.h"

namespace handrail::matching {
namespace {

void ViewToProto(const CandidateView& view, const Voice& voice, v1::Candidate* proto) {
  proto->set_score(view.score);
  for (size_t i = 0; i < view.factors.size(); ++i) {
    if (!view.factors[i].has_value()) continue;
    v1::ScoreFactor* row = proto->add_factors();
    row->set_code(std::string(CodeOf(static_cast<FactorCode>(i))));
    row->set_points(view.factors[i]->points);
    row->set_max_points(view.factors[i]->max_points);
  }
  ReasonsToProto(view.reasons, voice, proto->mutable_reasons());
  for (const Language language : view.languages) proto->add_languages(language.Tag());
  view.modalities.ForEach([proto](Modality modality) {
    proto->add_modalities(static_cast<common::v1::Modality>(modality));
  });
  proto->set_age_band(static_cast<common::v1::AgeBand>(view.age_band));
  proto->set_recovery_time(static_cast<v1::RecoveryBand>(view.recovery_time));
  view.communities.ForEach([proto](Community community) {
    proto->add_communities(static_cast<common::v1::Community>(community));
  });
}

absl::StatusOr<Emphasis> EmphasisFromProto(v1::Emphasis emphasis, absl::string_view path) {
  switch (emphasis) {
    case v1::EMPHASIS_NORMAL: return Emphasis::kNormal;
    case v1::EMPHASIS_LESS: return Emphasis::kLess;
    case v1::EMPHASIS_MORE: return Emphasis::kMore;
    case v1::EMPHASIS_OFF: return Emphasis::kOff;
    default: break;
  }
  return Error(absl::StatusCode::kInvalidArgument, reason::kFieldInvalid)
      .Message("an emphasis is not known")
      .Field(absl::StrCat(path, ".emphasis"), "must be NORMAL, LESS, MORE or OFF");
}

std::optional<FactorCode> FactorFromCode(absl::string_view code) {
  for (int i = 0; i < kFactorCount; ++i) {
    if (CodeOf(static_cast<FactorCode>(i)) == code) return static_cast<FactorCode>(i);
  }
  return std::nullopt;
}

}  // namespace

void CandidatesToProto(const CandidateDesk::List& list, const Voice& voice,
                       v1::ListCandidatesResponse* proto) {
  for (const CandidateDesk::Candidate& candidate : list.candidates) {
    v1::Candidate* row = proto->add_candidates();
    row->set_handle(candidate.handle);
    ViewToProto(candidate.view, voice, row);
  }
  proto->mutable_expire_time()->set_seconds(absl::ToUnixSeconds(list.expire_time));
  proto->set_suitable_count(list.suitable_count);
  proto->set_remaining_today(list.remaining_today);
  proto->set_questions_remaining_today(list.questions_remaining_today);
}

absl::StatusOr<Importance> ImportanceFromProto(
    const google::protobuf::RepeatedPtrField<v1::FactorEmphasis>& emphases) {
  Importance importance;
  uint32_t named = 0;
  for (int i = 0; i < emphases.size(); ++i) {
    const std::string path = absl::StrCat("emphases[", i, "]");
    const auto factor = FactorFromCode(emphases[i].code());
    const uint32_t bit = factor.has_value() ? 1u << static_cast<unsigned>(*factor) : 0;
    if (bit == 0 || (named & bit) != 0) {
      return Error(absl::StatusCode::kInvalidArgument, reason::kFieldInvalid)
          .Message("a factor is not known, or named twice")
          .Field(absl::StrCat(path, ".code"), "must be the code of a factor, each once");
    }
    named |= bit;
    ASSIGN_OR_RETURN(const Emphasis emphasis, EmphasisFromProto(emphases[i].emphasis(), path));
    importance.Set(*factor, emphasis);
  }
  return importance;
}

}  // namespace handrail::matching

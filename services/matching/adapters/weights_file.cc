#include "services/matching/adapters/weights_file.h"

#include <google/protobuf/descriptor.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "handrail/matching/v1/weights.pb.h"
#include "services/matching/adapters/text_config.h"
#include "services/matching/adapters/weights_text.h"

namespace handrail::matching {

absl::StatusOr<ScoreWeights> ParseWeights(absl::string_view text, absl::string_view where) {
  v1::ScoreWeights file;
  RETURN_IF_ERROR(ParseTextConfig(text, where, file));
  ConfigFaults faults;
  const google::protobuf::Descriptor& fields = *file.GetDescriptor();
  for (int i = 0; i < fields.field_count(); ++i) {
    if (file.GetReflection()->HasField(file, fields.field(i))) continue;
    faults.push_back(absl::StrCat(fields.field(i)->name(), " is missing"));
  }
  if (!faults.empty()) return InvalidConfig(where, faults);

  ScoreWeights weights;
  weights.points = {file.pathway_fit(), file.availability(), file.shared_experience(),
                    file.life_stage(),  file.engagement(),   file.contact_fit(),
                    file.locality(),    file.load_balance(), file.shared_substance()};
  weights.overlap_share = file.overlap_share();
  weights.full_overlap_minutes = file.full_overlap_minutes();
  weights.full_experience_days = file.full_experience_days();
  weights.life_stage_halves_days = file.life_stage_halves_days();
  const absl::Status valid = weights.Validate();
  if (!valid.ok()) return InvalidConfig(where, {std::string(valid.message())});
  return weights;
}

absl::StatusOr<ScoreWeights> LoadWeights(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadConfigFile(path));
  return ParseWeights(text, path);
}

const ScoreWeights& BuiltInWeights() {
  // A test holds that the file is valid.
  static const ScoreWeights weights = *ParseWeights(kWeightsText, "weights.textproto");
  return weights;
}

}  // namespace handrail::matching

#include "common/storage/database.h"

#include "common/base/status.h"

namespace handrail::storage {

// Where no round trip is to be saved, a statement runs when it is said.
absl::Status Transaction::DoLater(absl::string_view sql, const Args& args) {
  return DoExecute(sql, args).status();
}

absl::StatusOr<std::vector<Rows>> Transaction::DoQueryAll(absl::Span<const Question> questions) {
  std::vector<Rows> answers;
  answers.reserve(questions.size());
  for (const Question& question : questions) {
    ASSIGN_OR_RETURN(answers.emplace_back(), DoQuery(question.sql, question.args));
  }
  return answers;
}

}  // namespace handrail::storage

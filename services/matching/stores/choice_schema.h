#ifndef HANDRAIL_SERVICES_MATCHING_STORES_CHOICE_SCHEMA_H_
#define HANDRAIL_SERVICES_MATCHING_STORES_CHOICE_SCHEMA_H_

#include "common/storage/database.h"

namespace handrail::matching {

// What newcomers weigh and whom they chose: 0004_choice.
storage::Migration ChoiceMigration();
// What newcomers were told of those whom they chose: 0009_choice_told.
storage::Migration ChoiceToldMigration();
// What newcomers asked to see on a day, and the answers: 0010_candidate_questions.
storage::Migration CandidateQuestionsMigration();

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_STORES_CHOICE_SCHEMA_H_

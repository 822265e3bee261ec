#ifndef HANDRAIL_TOOLS_HANDRAIL_OPERATORS_BATCH_VIEW_H_
#define HANDRAIL_TOOLS_HANDRAIL_OPERATORS_BATCH_VIEW_H_

#include <string>

#include "handrail/matching/v1/batch.pb.h"

// A batch as operators read it. Pure.
namespace handrail::tools {

// A dry run with at most `limit` of its pairs, and how to go on.
std::string BatchPlanText(const matching::v1::BatchPlan& plan, const std::string& pool_word,
                          int limit);
std::string BatchRunText(const matching::v1::BatchRun& run, const std::string& pool_word);

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_OPERATORS_BATCH_VIEW_H_

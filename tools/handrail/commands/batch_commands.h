#ifndef HANDRAIL_TOOLS_HANDRAIL_COMMANDS_BATCH_COMMANDS_H_
#define HANDRAIL_TOOLS_HANDRAIL_COMMANDS_BATCH_COMMANDS_H_

#include "tools/handrail/commands/context.h"

namespace handrail::tools {

// `handrail batch`, of AddOperatorCommands.
void AddBatchCommands(CLI::App& app, Context& context);

}  // namespace handrail::tools

#endif  // HANDRAIL_TOOLS_HANDRAIL_COMMANDS_BATCH_COMMANDS_H_

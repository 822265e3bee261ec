#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_INVALID_COMMITS_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_INVALID_COMMITS_H_

#include <cstdint>
#include <string>

#include "common/base/ids.h"

// What devices say of commits that do not process for them. The server cannot look into a commit:
// it counts.
namespace handrail::messaging {

// A device cannot follow the commit that ended this epoch.
struct InvalidCommit {
  ConversationId conversation;
  std::string group_id;
  int64_t epoch = 0;
  std::string digest;  // SHA-256 of the commit, 32 bytes
};

// What the device does now: joins by an external commit, or may start the group anew.
enum class Mending { kJoinAgain = 1, kReset = 2 };

struct ReportedCommit {
  Mending mending = Mending::kJoinAgain;
  bool fresh = false;  // nobody had been told before that this device says so
};

// Of one commit.
struct CommitVotes {
  int64_t members = 0;  // who take part
  int64_t devices = 0;  // in the group, and reading
  int64_t reporting_devices = 0;
  int64_t reporting_members = 0;
};

// More than half of the devices have reported it; and among more than two members it is not one
// member alone who has, however many devices they own.
inline bool IsResetDue(const CommitVotes& votes) {
  const bool together = votes.members <= 2 || votes.reporting_members >= 2;
  return together && 2 * votes.reporting_devices > votes.devices;
}

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_INVALID_COMMITS_H_

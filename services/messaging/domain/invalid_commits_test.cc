#include "services/messaging/domain/invalid_commits.h"

#include <gtest/gtest.h>

namespace handrail::messaging {
namespace {

TEST(InvalidCommitsTest, MoreThanHalfOfTheDevicesAndNotOneMemberAlone) {
  struct Case {
    CommitVotes votes;  // members, devices, reporting devices, reporting members
    bool due;
  };
  for (const Case& one : {
           Case{{2, 2, 0, 0}, false},
           Case{{2, 2, 1, 1}, false},  // the other gets on with it
           Case{{2, 2, 2, 2}, true},
           Case{{2, 3, 2, 1}, true},  // of two members one may own most devices
           Case{{2, 4, 2, 2}, false},
           Case{{1, 1, 1, 1}, true},
           Case{{3, 1, 1, 1}, false},    // the only device in the group
           Case{{3, 30, 29, 1}, false},  // one member, however many devices
           Case{{3, 30, 16, 2}, true},
           Case{{3, 30, 15, 3}, false},
           Case{{8, 32, 17, 2}, true},
       }) {
    EXPECT_EQ(IsResetDue(one.votes), one.due)
        << one.votes.members << " members, " << one.votes.devices << " devices, "
        << one.votes.reporting_devices << " of " << one.votes.reporting_members << " report";
  }
}

}  // namespace
}  // namespace handrail::messaging

#include "services/matching/adapters/sealed_handles.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace handrail::matching {
namespace {

crypto::KeyRing Ring() {
  return *crypto::KeyRing::Parse(
      "index 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
      "k1 ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100\n");
}

TEST(SealedHandlesTest, AHandleIsReadByItsCallerOnly) {
  SystemRandom random;
  const crypto::KeyRing ring = Ring();
  const SealedHandles handles(ring, random);
  const MemberId caller = MemberId::Random(random);
  const CandidateHandles::Handle handle{TicketId::Random(random),
                                        MemberId::Random(random),
                                        0xfedcba9876543210,
                                        absl::FromUnixSeconds(1'800'000'000),
                                        {MatchReason::kPathway, MatchReason::kSubstance}};
  const std::string text = handles.Make(caller, handle);
  EXPECT_LE(text.size(), 200u);
  const auto read = handles.Read(caller, text);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->ticket, handle.ticket);
  EXPECT_EQ(read->sponsor, handle.sponsor);
  EXPECT_EQ(read->list, handle.list);
  EXPECT_EQ(read->expire_time, handle.expire_time);
  EXPECT_EQ(read->told, handle.told);
  EXPECT_FALSE(handles.Read(MemberId::Random(random), text).has_value());
  EXPECT_FALSE(handles.Read(caller, "").has_value());
  EXPECT_FALSE(handles.Read(caller, handle.sponsor.Name()).has_value());
  EXPECT_EQ(text.find(handle.sponsor.ToString()), std::string::npos);
  EXPECT_NE(handles.Make(caller, handle), text);
}

TEST(SealedHandlesTest, WhoWasSeenHasAnotherNameEveryDay) {
  SystemRandom random;
  const crypto::KeyRing ring = Ring();
  const auto hash = MakeSeenHash(ring);
  const MemberId sponsor = MemberId::Random(random);
  EXPECT_EQ(hash(20'000, sponsor), hash(20'000, sponsor));
  std::set<std::string> names;
  for (int64_t day = 20'000; day < 20'100; ++day) names.insert(hash(day, sponsor));
  EXPECT_EQ(names.size(), 100u);
  EXPECT_EQ(names.begin()->size(), 16u);
  EXPECT_NE(hash(20'000, MemberId::Random(random)), hash(20'000, sponsor));
}

}  // namespace
}  // namespace handrail::matching

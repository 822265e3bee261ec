#include "services/matching/domain/pool_index.h"

#include <memory>

#include "gtest/gtest.h"
#include "services/matching/adapters/program_table.h"
#include "services/matching/domain/pair_table.h"
#include "services/matching/domain/people_for_test.h"

namespace handrail::matching {
namespace {

std::shared_ptr<const MemberTraits> Share(const MemberTraits& traits) {
  return std::make_shared<const MemberTraits>(traits);
}

class PoolIndexTest : public ::testing::Test {
 protected:
  void AddSponsor(int number) {
    EXPECT_TRUE(index_.PutMember(Share(GoodSponsor(number)), TestNow()));
    EXPECT_TRUE(index_.PutSeats(GoodSeats(number)));
  }
  void AddTicket(int number, absl::Duration waited = absl::Hours(1)) {
    EXPECT_TRUE(
        index_.PutTicket(GoodTicket(number, waited), Share(GoodNewcomer(number)), TestNow()));
  }
  bool Finds(int ticket, absl::Time now = TestNow()) {
    return index_.FindSponsors(NumberedId<TicketId>(ticket), now).found();
  }

  const Chooser chooser_{RuleSet{}, Scorer{}};
  PairTable table_;
  PoolIndex index_{GoodTicket().pool, BuiltInPrograms(), chooser_, table_};
};

TEST_F(PoolIndexTest, FindsASponsorForATicketAndATicketForASponsor) {
  AddSponsor(1001);
  AddTicket(1);
  const Choice sponsors = index_.FindSponsors(NumberedId<TicketId>(1), TestNow());
  ASSERT_TRUE(sponsors.found());
  EXPECT_EQ(sponsors.best().sponsor->member, NumberedId<MemberId>(1001));
  EXPECT_FALSE(index_.Explain(sponsors.best(), TestNow()).reasons.empty());
  EXPECT_NEAR(index_.Explain(sponsors.best(), TestNow()).score, sponsors.best().score, 1e-9);
  const Choice tickets = index_.FindTickets(NumberedId<MemberId>(1001), TestNow());
  ASSERT_TRUE(tickets.found());
  EXPECT_EQ(tickets.best().ticket->ticket, NumberedId<TicketId>(1));
  EXPECT_EQ(index_.sponsor_count(), 1u);
  EXPECT_EQ(index_.free_sponsor_count(), 1u);
  EXPECT_EQ(index_.ticket_count(), 1u);
}

TEST_F(PoolIndexTest, SeatsMayComeBeforeTraits) {
  AddTicket(1);
  EXPECT_TRUE(index_.PutSeats(GoodSeats(1001)));
  EXPECT_FALSE(Finds(1));
  EXPECT_FALSE(index_.FindTickets(NumberedId<MemberId>(1001), TestNow()).found());
  EXPECT_TRUE(index_.PutMember(Share(GoodSponsor(1001)), TestNow()));
  EXPECT_TRUE(Finds(1));
}

TEST_F(PoolIndexTest, OlderAndRepeatedVersionsAreIgnored) {
  AddSponsor(1001);
  AddTicket(1);
  Availability full = GoodSeats(1001);
  full.version = 3;
  full.pairing_count = 3;
  EXPECT_TRUE(index_.PutSeats(full));
  Availability late = GoodSeats(1001);
  late.version = 2;
  EXPECT_FALSE(index_.PutSeats(late));
  EXPECT_FALSE(index_.PutSeats(full));
  EXPECT_FALSE(Finds(1));
  Availability freed = GoodSeats(1001);
  freed.version = 4;
  EXPECT_TRUE(index_.PutSeats(freed));
  EXPECT_TRUE(Finds(1));

  MemberTraits suspended = GoodSponsor(1001);
  suspended.version = 5;
  suspended.standing = Standing::kSuspended;
  EXPECT_TRUE(index_.PutMember(Share(suspended), TestNow()));
  EXPECT_FALSE(index_.PutMember(Share(GoodSponsor(1001)), TestNow()));
  EXPECT_FALSE(Finds(1));
}

TEST_F(PoolIndexTest, ATicketThatIsTakenOutStaysOutUntilANewerVersionWaits) {
  AddSponsor(1001);
  AddTicket(1);
  Ticket offered = GoodTicket(1);
  offered.version = 2;
  offered.state = TicketState::kOffered;
  EXPECT_TRUE(index_.PutTicket(offered, nullptr, TestNow()));
  EXPECT_EQ(index_.ticket_count(), 0u);
  EXPECT_FALSE(index_.PutTicket(GoodTicket(1), Share(GoodNewcomer(1)), TestNow()));
  EXPECT_FALSE(Finds(1));
  // While it was out, the newcomer withdrew a consent; who puts it back has read older traits.
  MemberTraits withdrawn = GoodNewcomer(1);
  withdrawn.version = 2;
  withdrawn.consents_to_matching = false;
  EXPECT_TRUE(index_.PutMember(Share(withdrawn), TestNow()));
  Ticket back = GoodTicket(1);
  back.version = 3;
  EXPECT_TRUE(index_.PutTicket(back, Share(GoodNewcomer(1)), TestNow()));
  EXPECT_EQ(index_.ticket_count(), 1u);
  const Choice choice = index_.FindSponsors(NumberedId<TicketId>(1), TestNow());
  EXPECT_FALSE(choice.found());
  EXPECT_EQ(index_.CountRemoved(NumberedId<TicketId>(1), TestNow()).of(Rule::kConsent), 1);
}

TEST_F(PoolIndexTest, AnOfferedTicketIsSearchedOnlyWhereParallelOffersAreAllowed) {
  Ticket ticket = GoodTicket(1);
  ticket.state = TicketState::kOffered;
  index_.PutTicket(ticket, Share(GoodNewcomer(1)), TestNow());
  EXPECT_EQ(index_.ticket_count(), 0u);
  ticket.version = 2;
  ticket.relationship_type = RelationshipType::kTemporaryContact;
  index_.PutTicket(ticket, nullptr, TestNow());
  EXPECT_EQ(index_.ticket_count(), 1u);
}

TEST_F(PoolIndexTest, WhoIsErasedOrLeavesTheProgramIsGoneForGood) {
  AddSponsor(1001);
  AddSponsor(1002);
  AddTicket(1);
  MemberTraits erased = GoodSponsor(1001);
  erased.version = 2;
  erased.standing = Standing::kErased;
  index_.PutMember(Share(erased), TestNow());
  EXPECT_EQ(index_.sponsor_count(), 1u);
  MemberTraits moved = GoodSponsor(1002);
  moved.version = 2;
  moved.sponsor->programs.front().philosophy = Philosophy::kTwelveStepNa;
  index_.PutMember(Share(moved), TestNow());
  EXPECT_EQ(index_.sponsor_count(), 0u);
  EXPECT_FALSE(Finds(1));
  MemberTraits newcomer = GoodNewcomer(1);
  newcomer.version = 2;
  newcomer.standing = Standing::kErased;
  index_.PutMember(Share(newcomer), TestNow());
  EXPECT_EQ(index_.ticket_count(), 0u);
}

TEST_F(PoolIndexTest, StrangersOfThePoolAreNotTakenIn) {
  MemberTraits other = GoodSponsor(1001);
  other.sponsor->programs.front().philosophy = Philosophy::kSmart;
  EXPECT_FALSE(index_.PutMember(Share(other), TestNow()));
  EXPECT_FALSE(index_.PutMember(Share(GoodNewcomer(7)), TestNow()));
  Ticket ticket = GoodTicket(1);
  ticket.pool.region = "US-NY";
  index_.PutTicket(ticket, Share(GoodNewcomer(1)), TestNow());
  EXPECT_EQ(index_.ticket_count(), 0u);
}

TEST_F(PoolIndexTest, ABlockCountsFromTheNextSearch) {
  AddSponsor(1001);
  AddTicket(1);
  EXPECT_TRUE(Finds(1));
  table_.Block(NumberedId<MemberId>(1), NumberedId<MemberId>(1001));
  EXPECT_FALSE(Finds(1));
}

TEST_F(PoolIndexTest, HoursFollowTheWeek) {
  // London 23:00 to 24:00 and New York 18:00 to 19:00 meet, but not in the weeks in March between
  // the two changes of the clock.
  MemberTraits sponsor = GoodSponsor(1001);
  sponsor.sponsor->attest_time = absl::InfiniteFuture();
  sponsor.sponsor->person.time_zone = "Europe/London";
  sponsor.sponsor->person.availability = {{3, 23 * 60, 60}};
  MemberTraits newcomer = GoodNewcomer(1);
  newcomer.newcomer->person.availability = {{3, 18 * 60, 60}};
  index_.PutMember(Share(sponsor), TestNow());
  index_.PutSeats(GoodSeats(1001));
  index_.PutTicket(GoodTicket(1), Share(newcomer), TestNow());
  EXPECT_TRUE(Finds(1));
  const auto at = [](int month, int day) {
    return absl::FromCivil(absl::CivilDay(2027, month, day), absl::UTCTimeZone());
  };
  EXPECT_TRUE(Finds(1, at(3, 10)));
  EXPECT_FALSE(Finds(1, at(3, 17)));
  EXPECT_TRUE(Finds(1, at(3, 31)));
}

TEST_F(PoolIndexTest, HoursOfTicketsFollowTheWeekAcrossMidnight) {
  // London 00:00 to 01:00 and New York 19:00 to 20:00 the evening before, which are the last hour
  // of a UTC day in summer and the first of the next in winter.
  MemberTraits sponsor = GoodSponsor(1001);
  sponsor.sponsor->attest_time = absl::InfiniteFuture();
  sponsor.sponsor->person.time_zone = "Europe/London";
  sponsor.sponsor->person.availability = {{4, 0, 60}};
  MemberTraits newcomer = GoodNewcomer(1);
  newcomer.newcomer->person.availability = {{3, 19 * 60, 60}};
  index_.PutMember(Share(sponsor), TestNow());
  index_.PutSeats(GoodSeats(1001));
  index_.PutTicket(GoodTicket(1), Share(newcomer), TestNow());
  const auto meet = [&](int month, int day) {
    const absl::Time now = absl::FromCivil(absl::CivilDay(2027, month, day), absl::UTCTimeZone());
    const bool found = index_.FindTickets(NumberedId<MemberId>(1001), now).found();
    EXPECT_EQ(found, Finds(1, now));
    return found;
  };
  EXPECT_TRUE(meet(1, 13));
  EXPECT_FALSE(meet(3, 17));
  EXPECT_TRUE(meet(3, 31));
  EXPECT_TRUE(meet(7, 14));
  EXPECT_TRUE(meet(12, 15));
}

TEST_F(PoolIndexTest, PlacesOfWhoLeftAreReused) {
  AddSponsor(1001);
  AddTicket(1);
  for (int i = 10; i < 5010; ++i) {
    AddTicket(i);
    Ticket done = GoodTicket(i);
    done.version = 2;
    done.state = TicketState::kCancelled;
    index_.PutTicket(done, nullptr, TestNow());
    MemberTraits sponsor = GoodSponsor(i + 100000);
    index_.PutMember(Share(sponsor), TestNow());
    sponsor.version = 2;
    sponsor.standing = Standing::kErased;
    index_.PutMember(Share(sponsor), TestNow());
  }
  EXPECT_EQ(index_.ticket_count(), 1u);
  EXPECT_EQ(index_.sponsor_count(), 1u);
  EXPECT_TRUE(Finds(1));
  EXPECT_TRUE(index_.FindTickets(NumberedId<MemberId>(1001), TestNow()).found());
  EXPECT_LT(index_.MemoryBytes(), 4'000'000u);
}

TEST_F(PoolIndexTest, SeatsOfManyWhoseTraitsAreStillToComeAreKept) {
  for (int i = 0; i < 3000; ++i) index_.PutSeats(GoodSeats(1001 + i));
  for (int i = 0; i < 3000; ++i) index_.PutMember(Share(GoodSponsor(1001 + i)), TestNow());
  EXPECT_EQ(index_.free_sponsor_count(), 3000u);
  // A sponsor costs about half a kilobyte in a pool, beside the traits.
  EXPECT_LT(index_.MemoryBytes() / 3000, 1000u);
}

}  // namespace
}  // namespace handrail::matching

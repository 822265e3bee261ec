#include "services/matching/domain/ticket_table.h"

#include <map>
#include <vector>

#include "common/testing/seeded_random.h"
#include "gtest/gtest.h"

namespace handrail::matching {
namespace {

using handrail::testing::SeededRandom;

// With everything set to something of its own.
TicketChange RandomTicket(const TicketId& id, SeededRandom& random) {
  TicketChange ticket;
  ticket.ticket = id;
  ticket.newcomer = MemberId::Random(random);
  ticket.relationship_type = static_cast<RelationshipType>(1 + random.Below(4));
  ticket.pool = {static_cast<Philosophy>(1 + random.Below(3)),
                 random.Below(2) == 0 ? "US-NY" : "online"};
  ticket.state = random.Below(2) == 0 ? TicketState::kWaiting : TicketState::kOffered;
  ticket.create_time = absl::FromUnixMicros(static_cast<int64_t>(random.Below(1'000'000'000)));
  ticket.expire_time =
      random.Below(4) == 0 ? absl::InfiniteFuture() : ticket.create_time + absl::Hours(720);
  ticket.boost = random.Unit();
  ticket.importance = Importance::FromBits(static_cast<uint32_t>(random.Next64()));
  ticket.choosing = random.Below(2) == 0;
  ticket.chosen_left = static_cast<int>(random.Below(6));
  ticket.open_offers = static_cast<int>(random.Below(6));
  ticket.parallel_limit = static_cast<int>(random.Below(6));
  ticket.offer_count = static_cast<int>(random.Below(100'000));
  ticket.version = static_cast<int64_t>(1 + random.Below(1'000'000));
  return ticket;
}

void ExpectSame(const TicketChange& a, const TicketChange& b) {
  EXPECT_EQ(a.ticket, b.ticket);
  EXPECT_EQ(a.newcomer, b.newcomer);
  EXPECT_EQ(a.relationship_type, b.relationship_type);
  EXPECT_EQ(a.pool, b.pool);
  EXPECT_EQ(a.state, b.state);
  EXPECT_EQ(a.create_time, b.create_time);
  EXPECT_EQ(a.expire_time, b.expire_time);
  EXPECT_EQ(a.boost, b.boost);
  EXPECT_EQ(a.importance.bits(), b.importance.bits());
  EXPECT_EQ(a.choosing, b.choosing);
  EXPECT_EQ(a.chosen_left, b.chosen_left);
  EXPECT_EQ(a.open_offers, b.open_offers);
  EXPECT_EQ(a.parallel_limit, b.parallel_limit);
  EXPECT_EQ(a.offer_count, b.offer_count);
  EXPECT_EQ(a.version, b.version);
}

TEST(TicketTableTest, HoldsWhatAMapHolds) {
  SeededRandom random(1);
  TicketTable table;
  std::map<TicketId, TicketChange> map;
  std::vector<TicketId> ids;
  ids.reserve(300);
  for (int i = 0; i < 300; ++i) ids.push_back(TicketId::Random(random));
  for (int step = 0; step < 10'000; ++step) {
    const TicketId& id = ids[random.Below(ids.size())];
    if (random.Below(3) == 0) {
      table.Erase(id);
      map.erase(id);
    } else {
      const TicketChange ticket = RandomTicket(id, random);
      table.Put(ticket);
      map[id] = ticket;
    }
    ASSERT_EQ(table.size(), map.size());
  }
  for (const TicketId& id : ids) {
    const auto held = table.Find(id);
    const auto wanted = map.find(id);
    ASSERT_EQ(held.has_value(), wanted != map.end());
    EXPECT_EQ(table.VersionOf(id), held.has_value() ? held->version : 0);
    if (held.has_value()) ExpectSame(*held, wanted->second);
  }
}

TEST(TicketTableTest, ATicketTakesSomeHundredBytes) {
  SeededRandom random(2);
  TicketTable table;
  for (int count = 1; count <= 200'000; ++count) {
    table.Put(RandomTicket(TicketId::Random(random), random));
    if (count % 10'000 == 0) {
      ASSERT_LE(table.MemoryBytes(), 125u * static_cast<size_t>(count));
    }
  }
}

}  // namespace
}  // namespace handrail::matching

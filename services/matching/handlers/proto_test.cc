#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/testing/seeded_random.h"
#include "services/matching/adapters/message_catalogue.h"
#include "services/matching/handlers/ticket_proto.h"
#include "services/matching/handlers/traits_proto.h"

namespace handrail::matching {
namespace {

common::v1::MemberSnapshot Snapshot() {
  testing::SeededRandom random(1);
  common::v1::MemberSnapshot snapshot;
  snapshot.set_member(MemberId::Random(random).Name());
  snapshot.set_version(7);
  snapshot.set_standing(common::v1::STANDING_GOOD);
  snapshot.mutable_consent()->set_matching(true);
  return snapshot;
}

TEST(TraitsProtoTest, CarriesWhatWasSaid) {
  common::v1::MemberSnapshot snapshot = Snapshot();
  common::v1::PersonTraits& person = *snapshot.mutable_newcomer()->mutable_person();
  person.add_languages("pt-BR");
  person.set_time_zone("America/Sao_Paulo");
  person.add_modalities(common::v1::MODALITY_VIDEO);
  person.set_age_band(common::v1::AGE_BAND_45_54);
  common::v1::WeeklyWindow& window = *person.add_availability();
  window.set_iso_weekday(7);
  window.set_start_minute(1400);
  window.set_length_minutes(90);
  snapshot.mutable_newcomer()->add_philosophies(common::v1::PHILOSOPHY_LIFERING);
  const auto member = MemberTraitsFromProto(snapshot);
  ASSERT_TRUE(member.ok()) << member.status();
  EXPECT_EQ(member->version, 7);
  EXPECT_TRUE(member->consents_to_matching);
  EXPECT_FALSE(member->consents_to_health_data);
  EXPECT_FALSE(member->sponsor.has_value());
  ASSERT_TRUE(member->newcomer.has_value());
  EXPECT_EQ(member->newcomer->person.languages.at(0).Tag(), "pt");
  EXPECT_TRUE(member->newcomer->person.modalities.Contains(Modality::kVideo));
  EXPECT_EQ(member->newcomer->person.age_band, AgeBand::k45To54);
  EXPECT_EQ(member->newcomer->person.availability, (std::vector<WeeklyWindow>{{7, 1400, 90}}));
  EXPECT_TRUE(member->newcomer->philosophies.Contains(Philosophy::kLifeRing));
}

TEST(TraitsProtoTest, DropsWhatItDoesNotKnow) {
  common::v1::MemberSnapshot snapshot = Snapshot();
  common::v1::NewcomerTraits& newcomer = *snapshot.mutable_newcomer();
  newcomer.add_philosophies(static_cast<common::v1::Philosophy>(77));
  newcomer.mutable_person()->set_gender(static_cast<common::v1::Gender>(40));
  newcomer.mutable_person()->add_languages("x");
  newcomer.mutable_recovery_date()->set_year(2026);
  newcomer.mutable_recovery_date()->set_month(2);
  newcomer.mutable_recovery_date()->set_day(30);
  newcomer.mutable_person()->add_availability()->set_iso_weekday(9);
  const auto member = MemberTraitsFromProto(snapshot);
  ASSERT_TRUE(member.ok()) << member.status();
  EXPECT_TRUE(member->newcomer->philosophies.empty());
  EXPECT_EQ(member->newcomer->person.gender, Gender::kUnspecified);
  EXPECT_TRUE(member->newcomer->person.languages.empty());
  EXPECT_FALSE(member->newcomer->recovery_date.has_value());
  EXPECT_TRUE(member->newcomer->person.availability.empty());
}

TEST(TraitsProtoTest, RefusesANameThatIsNone) {
  common::v1::MemberSnapshot snapshot = Snapshot();
  snapshot.set_member("members/me");
  EXPECT_TRUE(HasReason(MemberTraitsFromProto(snapshot).status(), reason::kResourceNameInvalid));
}

TEST(TicketProtoTest, ToldInStepsHowManyWaitAhead) {
  EXPECT_EQ(RoundWaitingAhead(0), 0);
  EXPECT_EQ(RoundWaitingAhead(1), 5);
  EXPECT_EQ(RoundWaitingAhead(11), 25);
  EXPECT_EQ(RoundWaitingAhead(100), 100);
  EXPECT_EQ(RoundWaitingAhead(101), 200);
}

TEST(TicketProtoTest, AnOfferTellsNothingOfTheNewcomer) {
  testing::SeededRandom random(2);
  Offer offer;
  offer.id = OfferId::Random(random);
  offer.ticket = TicketId::Random(random);
  offer.newcomer = MemberId::Random(random);
  offer.explanation.reasons = {MatchReason::kPathway};
  v1::Offer proto;
  OfferToProto(offer, Voice(BuiltInMessages(), {Language::FromTag("fr")}), &proto);
  const std::string bytes = proto.SerializeAsString();
  EXPECT_EQ(bytes.find(offer.newcomer.ToString()), std::string::npos);
  EXPECT_EQ(bytes.find(offer.ticket.ToString()), std::string::npos);
  EXPECT_EQ(proto.factors_size(), kFactorCount);
  EXPECT_EQ(proto.reasons(0).code(), "PATHWAY");
  EXPECT_EQ(proto.reasons(0).text(), "Vous voyez le rétablissement d’une manière très proche.");
}

TEST(TicketProtoTest, APairingDoesNotTellWhyItEnded) {
  Pairing pairing;
  pairing.state = PairingState::kEnded;
  pairing.end_reason = EndReason::kSafety;
  v1::Pairing with_reason;
  PairingToProto(pairing, &with_reason);
  pairing.end_reason = EndReason::kUnspecified;
  v1::Pairing without_reason;
  PairingToProto(pairing, &without_reason);
  EXPECT_EQ(with_reason.SerializeAsString(), without_reason.SerializeAsString());
}

}  // namespace
}  // namespace handrail::matching

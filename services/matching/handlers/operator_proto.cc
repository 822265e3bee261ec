#include "services/matching/handlers/operator_proto.h"

#include <cmath>
#include <string>

#include "absl/strings/escaping.h"

namespace handrail::matching {
namespace {

void TimeToProto(absl::Time time, google::protobuf::Timestamp* proto) {
  const int64_t micros = absl::ToUnixMicros(time);
  proto->set_seconds(micros / 1'000'000);
  proto->set_nanos(static_cast<int32_t>(micros % 1'000'000) * 1000);
}

}  // namespace

void CountToProto(const RoundedCount& count, v1::Count* proto) {
  proto->set_value(count.value);
  proto->set_under_five(count.under_five);
}

void PoolToProto(const PoolReport& pool, v1::Pool* proto) {
  proto->set_name(pool.id.Name());
  proto->set_philosophy(static_cast<common::v1::Philosophy>(pool.key.philosophy));
  proto->set_region(pool.key.region);
  v1::WaitingBands* waiting = proto->mutable_waiting();
  waiting->set_under_1h(pool.waiting[0]);
  waiting->set_under_24h(pool.waiting[1]);
  waiting->set_under_48h(pool.waiting[2]);
  waiting->set_under_72h(pool.waiting[3]);
  waiting->set_over_72h(pool.waiting[4]);
  if (pool.oldest != absl::InfiniteFuture()) {
    TimeToProto(pool.oldest, proto->mutable_oldest_create_time());
  }
  proto->set_open_offers(pool.open_offers);
  if (pool.drained_until != absl::InfinitePast()) {
    TimeToProto(pool.drained_until, proto->mutable_drain_end_time());
  }
}

void OpenTicketToProto(const OpenTicketReport& report, v1::OpenTicket* proto) {
  const TicketChange& ticket = report.ticket;
  proto->set_name(ticket.ticket.Name());
  proto->set_pool(report.pool.Name());
  proto->set_relationship_type(static_cast<common::v1::RelationshipType>(ticket.relationship_type));
  proto->set_state(static_cast<v1::TicketState>(ticket.state));
  TimeToProto(ticket.create_time, proto->mutable_create_time());
  TimeToProto(ticket.expire_time, proto->mutable_expire_time());
  proto->set_offer_count(ticket.offer_count);
  proto->set_boost_percent(static_cast<int32_t>(std::lround(100 * ticket.boost / kMaxBoost)));
  proto->set_version(ticket.version);
}

void OpenOfferToProto(const OpenOfferReport& offer, v1::OpenOffer* proto) {
  proto->set_name(offer.id.Name());
  proto->set_ticket(offer.ticket.Name());
  proto->set_pool(offer.pool.Name());
  TimeToProto(offer.create_time, proto->mutable_create_time());
  TimeToProto(offer.expire_time, proto->mutable_expire_time());
}

void SponsorToProto(const SponsorReport& sponsor, v1::SponsorSeats* proto) {
  const Availability& availability = sponsor.seats.availability;
  proto->set_member(availability.sponsor.Name());
  proto->set_capacity(availability.capacity);
  proto->set_accepting(availability.accepting);
  proto->set_pairing_count(availability.pairing_count);
  proto->set_open_offer_count(availability.open_offer_count);
  if (sponsor.attest_time != absl::InfinitePast()) {
    TimeToProto(sponsor.attest_time, proto->mutable_attest_time());
  }
  proto->set_may_be_offered(sponsor.seats.may_be_offered);
}

void ExplanationToProto(const TicketReport& report, v1::TicketExplanation* proto) {
  // Only what is rounded leaves: report.tally is exact.
  const ToldTally told = Tell(report.tally);
  OpenTicketToProto(report.ticket, proto->mutable_ticket());
  CountToProto(RoundCount(report.sponsors), proto->mutable_sponsors());
  CountToProto(told.evaluated, proto->mutable_in_pool());
  CountToProto(told.passing, proto->mutable_passing());
  for (const ToldRule& rule : told.rules) {
    v1::RuleExplanation* row = proto->add_rules();
    row->set_number(std::string(rule.number));
    row->set_code(std::string(rule.code));
    row->set_text(std::string(rule.asks));
    CountToProto(rule.first, row->mutable_removed());
    CountToProto(rule.broken, row->mutable_broken());
    CountToProto(rule.only, row->mutable_only());
  }
  CountToProto(told.only_full, proto->mutable_full());
  CountToProto(told.only_not_accepting, proto->mutable_not_accepting());
  proto->set_waiting_ahead(report.situation.waiting_ahead);
  for (std::string& finding : Findings(report.tally, report.situation)) {
    proto->add_findings(std::move(finding));
  }
  proto->set_complete(report.situation.complete);
  proto->set_open_offers(report.situation.open_offers);
  if (report.ticket.hint_due != absl::InfinitePast()) {
    TimeToProto(report.ticket.hint_due, proto->mutable_hint_due_time());
  }
}

void ActionToProto(const OperatorAction& action, v1::OperatorAction* proto) {
  proto->set_sequence(action.sequence);
  TimeToProto(action.time, proto->mutable_create_time());
  proto->set_operator_(action.who.Name());
  proto->set_method(action.method);
  proto->set_subject(action.subject);
  proto->set_request_id(action.request_id);
  proto->set_outcome(action.outcome);
  proto->set_detail(action.detail);
}

void AuditToProto(const AuditReport& report, v1::VerifyOperatorActionsResponse* proto) {
  proto->set_whole(report.whole);
  proto->set_last_sequence(report.last_sequence);
  proto->set_last_seal(absl::BytesToHexString(report.last_seal));
  proto->set_first_broken_sequence(report.first_broken);
  proto->set_known_found(report.known_found);
}

}  // namespace handrail::matching

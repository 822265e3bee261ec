#include "services/matching/handlers/care_proto.h"

#include "common/base/status.h"
#include "services/matching/handlers/ticket_proto.h"

namespace handrail::matching {
namespace {

constexpr absl::Duration kLongestPause = absl::Hours(24 * 366);

absl::Status ResumeTimeError(const char* text) {
  return Error(absl::StatusCode::kInvalidArgument, reason::kFieldInvalid)
      .Message("the time to resume cannot be taken")
      .Field("resume_time", text);
}

}  // namespace

void NoticeToProto(const Notice& notice, v1::Notice* proto) {
  proto->set_name(notice.id.Name());
  proto->set_kind(static_cast<v1::NoticeKind>(notice.kind));
  proto->set_subject(notice.SubjectName());
  TimeToProto(notice.create_time, proto->mutable_create_time());
  if (notice.due_time != absl::InfinitePast()) {
    TimeToProto(notice.due_time, proto->mutable_due_time());
  }
  proto->set_step(static_cast<int32_t>(notice.step));
  if (notice.IsRead()) TimeToProto(notice.read_time, proto->mutable_read_time());
}

void CheckInToProto(const CheckIn& check_in, v1::CheckIn* proto) {
  proto->set_pairing(check_in.pairing.Name());
  proto->set_day(check_in.day);
  TimeToProto(check_in.due_time, proto->mutable_due_time());
  proto->set_answer(static_cast<v1::CheckInAnswer>(check_in.answer));
}

void AnsweredCheckInToProto(const CareStore::AnsweredCheckIn& answered, v1::CheckIn* proto) {
  CheckInToProto(answered.check_in, proto);
  if (answered.check_in.answer == CheckInAnswer::kGoingWell) return;
  if (!answered.has_ended) proto->add_next_steps(v1::NEXT_STEP_END_PAIRING);
  if (answered.is_newcomer) proto->add_next_steps(v1::NEXT_STEP_REQUEST_REMATCH);
}

void QueueStatusToProto(const TicketId& ticket, const QueueStatus& status, v1::QueueStatus* proto) {
  proto->set_ticket(ticket.Name());
  proto->set_state(static_cast<v1::TicketState>(status.state));
  if (status.state != TicketState::kWaiting) return;
  proto->set_waiting_ahead(RoundWaitingAhead(status.waiting_ahead));
  proto->set_expected_wait_min_hours(status.wait.min_hours);
  proto->set_expected_wait_max_hours(status.wait.max_hours);
  proto->set_basis_pairings(status.wait.basis);
  proto->set_suitable_sponsors(static_cast<v1::CountBand>(status.outlook.suitable));
  proto->set_free_sponsors(static_cast<v1::CountBand>(status.outlook.free));
  for (const RelaxationEffect& effect : status.outlook.relaxations) {
    v1::RelaxationEffect* row = proto->add_relaxations();
    row->set_relaxation(static_cast<v1::Relaxation>(effect.relaxation));
    row->set_more_sponsors(static_cast<v1::CountBand>(effect.more_sponsors));
  }
}

absl::StatusOr<AvailabilityWish> AvailabilityWishFromProto(
    const v1::SetAvailabilityRequest& request, absl::Time now) {
  AvailabilityWish wish;
  wish.capacity = request.capacity();
  wish.accepting = request.accepting();
  if (!request.has_resume_time()) return wish;
  if (request.accepting()) return ResumeTimeError("goes with a pause only");
  const auto& time = request.resume_time();
  if (time.nanos() < 0 || time.nanos() > 999'999'999) return ResumeTimeError("is no time");
  wish.resume_time = absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
  if (wish.resume_time <= now) return ResumeTimeError("must lie ahead");
  if (wish.resume_time > now + kLongestPause) return ResumeTimeError("must lie within a year");
  return wish;
}

}  // namespace handrail::matching

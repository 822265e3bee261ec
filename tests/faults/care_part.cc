#include "tests/faults/care_part.h"

#include <algorithm>

namespace handrail::tests {

using matching::v1::CareService;
using matching::v1::MatchingService;
using profiles::v1::ProfileService;

// ---- PairingCare ----

void PairingCare::Step() {
  if (stays_ > 0) --stays_;
  if (over_) return;
  if (!confirmed_) {
    Confirm();
  } else if (side_ == Side::kNewcomer && active_ && Chance(stage_, 25)) {
    Pause();
  } else if (!checked_in_ && Chance(stage_, 40)) {
    CheckIn();
  }
}

void PairingCare::Confirm() {
  matching::v1::ConfirmContactRequest request;
  request.set_name(pairing_);
  request.set_request_id(person_.NewRequestId());
  const auto pairing = Insist(person_, stage_.clock, stage_.services.matching(),
                              &MatchingService::Stub::ConfirmContact, request);
  if (HasReason(pairing.status(), reason::kPairingEnded)) {
    over_ = true;
    return;
  }
  if (!pairing.ok()) return Unexpected(stage_, "ConfirmContact", pairing.status());
  confirmed_ = true;
  active_ = true;  // when the other one has confirmed too; else a pause is refused
  stage_.history.ContactConfirmed(id(), IdOf<MemberId>(person_.member()));
}

// And resumes at once, or stays paused until the pairing ends.
void PairingCare::Pause() {
  matching::v1::PausePairingRequest pause;
  pause.set_name(pairing_);
  pause.set_request_id(person_.NewRequestId());
  stage_.history.ChangingPause(id());
  const auto paused = Insist(person_, stage_.clock, stage_.services.matching(),
                             &MatchingService::Stub::PausePairing, pause);
  if (!paused.ok()) {
    over_ = HasReason(paused.status(), reason::kPairingEnded);
    if (!over_ && !HasReason(paused.status(), reason::kPairingStateInvalid)) {
      Unexpected(stage_, "PausePairing", paused.status());
    }
    return;
  }
  stage_.history.PauseChanged(id(), true);
  if (Chance(stage_, 30)) {  // stays paused; the newcomer may end it as it is
    active_ = false;
    return;
  }
  matching::v1::ResumePairingRequest resume;
  resume.set_name(pairing_);
  resume.set_request_id(person_.NewRequestId());
  stage_.history.ChangingPause(id());
  const auto resumed = Insist(person_, stage_.clock, stage_.services.matching(),
                              &MatchingService::Stub::ResumePairing, resume);
  if (resumed.ok()) return stage_.history.PauseChanged(id(), false);
  over_ = HasReason(resumed.status(), reason::kPairingEnded);
  if (!over_) Unexpected(stage_, "ResumePairing", resumed.status());
}

void PairingCare::CheckIn() {
  matching::v1::ListCheckInsRequest request;
  request.set_pairing(pairing_);
  const auto list = Insist(person_, stage_.clock, stage_.services.care(),
                           &CareService::Stub::ListCheckIns, request);
  if (!list.ok()) return Unexpected(stage_, "ListCheckIns", list.status());
  if (list->check_ins().empty()) return;
  if (list->check_ins_size() > 1) stage_.history.Contradiction("one check-in came up twice");
  matching::v1::AnswerCheckInRequest answer;
  answer.set_pairing(pairing_);
  answer.set_day(list->check_ins(0).day());
  answer.set_answer(matching::v1::CHECK_IN_ANSWER_GOING_WELL);
  answer.set_request_id(person_.NewRequestId());
  const auto answered = Insist(person_, stage_.clock, stage_.services.care(),
                               &CareService::Stub::AnswerCheckIn, answer);
  if (!answered.ok()) return Unexpected(stage_, "AnswerCheckIn", answered.status());
  stage_.history.CheckInAnswered(id(), IdOf<MemberId>(person_.member()));
  checked_in_ = true;
  stays_ = 0;
  // It reads as it was said, and is the other one's business never.
  const auto again = Insist(person_, stage_.clock, stage_.services.care(),
                            &CareService::Stub::ListCheckIns, request);
  if (!again.ok()) return Unexpected(stage_, "ListCheckIns", again.status());
  if (again->check_ins_size() != 1 ||
      again->check_ins(0).answer() != matching::v1::CHECK_IN_ANSWER_GOING_WELL) {
    stage_.history.Contradiction("a check-in does not read as it was answered");
  }
}

// ---- SeatCare ----

void SeatCare::Step() {
  if (away_ && Chance(stage_, 40)) return Set(capacity_, true, absl::InfiniteFuture());
  if (away_ || !Chance(stage_, 6)) return;
  switch (stage_.random.Below(4)) {
    case 0: return Set(capacity_, false, absl::InfiniteFuture());
    case 1: return Set(capacity_, false, stage_.clock.Now() + absl::Seconds(2));
    case 2: return Set(std::max(0, capacity_ - 1), true, absl::InfiniteFuture());
    default: return Attest();
  }
}

void SeatCare::Set(int capacity, bool accepting, absl::Time resume) {
  matching::v1::SetAvailabilityRequest request;
  request.set_capacity(capacity);
  request.set_accepting(accepting);
  if (resume != absl::InfiniteFuture()) {
    const int64_t micros = absl::ToUnixMicros(resume);
    request.mutable_resume_time()->set_seconds(micros / 1'000'000);
    request.mutable_resume_time()->set_nanos(static_cast<int32_t>(micros % 1'000'000) * 1000);
  }
  request.set_request_id(person_.NewRequestId());
  const MemberId me = IdOf<MemberId>(person_.member());
  stage_.history.ChangingAvailability(me);
  const auto set = Insist(person_, stage_.clock, stage_.services.matching(),
                          &MatchingService::Stub::SetAvailability, request);
  if (!set.ok()) {
    // While the services were down the time of a short pause has passed.
    const bool late = absl::IsInvalidArgument(set.status()) && stage_.clock.Now() > resume;
    if (!late) Unexpected(stage_, "SetAvailability", set.status());
    return;
  }
  stage_.history.AvailabilitySet(me,
                                 {.capacity = capacity, .accepting = accepting, .resume = resume});
  away_ = capacity < capacity_ || (!accepting && resume == absl::InfiniteFuture());
}

void SeatCare::Attest() {
  profiles::v1::AttestAvailabilityRequest request;
  request.set_request_id(person_.NewRequestId());
  const absl::Time asked = absl::FromUnixMicros(absl::ToUnixMicros(stage_.clock.Now()));
  const auto attested = Insist(person_, stage_.clock, stage_.services.profile(),
                               &ProfileService::Stub::AttestAvailability, request);
  if (!attested.ok()) return Unexpected(stage_, "AttestAvailability", attested.status());
  stage_.history.Attested(IdOf<MemberId>(person_.member()), asked);
}

void SeatCare::Finish() {
  if (away_) Set(capacity_, true, absl::InfiniteFuture());
}

}  // namespace handrail::tests

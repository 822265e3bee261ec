#ifndef HANDRAIL_TESTS_FAULTS_CARE_PART_H_
#define HANDRAIL_TESTS_FAULTS_CARE_PART_H_

#include <string>

#include "tests/faults/stage.h"

// The part of the play that is about the care around a pairing and around a sponsor's seats. Used
// by one thread.
namespace handrail::tests {

// One of the two of a pairing: confirms that they are in touch, answers the check-in when it comes,
// and, as the newcomer, pauses and resumes.
class PairingCare {
 public:
  enum class Side { kNewcomer, kSponsor };
  PairingCare(Stage& stage, tools::Person& person, std::string pairing, Side side)
      : stage_(stage), person_(person), pairing_(std::move(pairing)), side_(side) {}
  void Step();
  // A while longer, so that the pairing comes to its first check-in.
  bool WantsToStay() const { return stays_ > 0; }

 private:
  void Confirm();
  void Pause();
  void CheckIn();
  PairingId id() const { return IdOf<PairingId>(pairing_); }

  Stage& stage_;
  tools::Person& person_;
  const std::string pairing_;
  const Side side_;
  bool over_ = false;  // the other one has ended it
  bool confirmed_ = false;
  bool active_ = false;
  bool checked_in_ = false;
  int stays_ = static_cast<int>(stage_.random.Below(3)) == 0 ? 40 : 0;
};

// A sponsor who pauses, comes back or is brought back, changes the number of seats, and attests.
class SeatCare {
 public:
  SeatCare(Stage& stage, tools::Person& person, int capacity)
      : stage_(stage), person_(person), capacity_(capacity) {}
  void Step();
  // Comes back, with all seats.
  void Finish();

 private:
  void Set(int capacity, bool accepting, absl::Time resume);
  void Attest();

  Stage& stage_;
  tools::Person& person_;
  const int capacity_;
  bool away_ = false;
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_FAULTS_CARE_PART_H_

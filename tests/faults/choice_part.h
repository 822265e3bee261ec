#ifndef HANDRAIL_TESTS_FAULTS_CHOICE_PART_H_
#define HANDRAIL_TESTS_FAULTS_CHOICE_PART_H_

#include <string>

#include "tests/faults/stage.h"

// The part of the play that is about "let me choose". Used by one thread.
namespace handrail::tests {

// A newcomer who looks at candidates and chooses some in an order, once for each ticket; when none
// of them took the offer, Handrail goes on.
class Chooser {
 public:
  Chooser(Stage& stage, tools::Person& person) : stage_(stage), person_(person) {}
  // The newcomer has looked at the ticket.
  void Look(const matching::v1::Ticket& ticket);
  // What is shown may have changed: the newcomer blocked somebody.
  void ForgetAnswer() { answer_.clear(); }

 private:
  void ChooseFrom(const std::string& ticket, const matching::v1::ListCandidatesResponse& list);
  void Choose(const matching::v1::ChooseCandidatesRequest& request);
  void LeaveItToHandrail(const std::string& ticket);

  Stage& stage_;
  tools::Person& person_;
  std::string chosen_for_;  // the ticket
  std::string answer_;      // to the one question that this newcomer asks
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_FAULTS_CHOICE_PART_H_

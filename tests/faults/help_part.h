#ifndef HANDRAIL_TESTS_FAULTS_HELP_PART_H_
#define HANDRAIL_TESTS_FAULTS_HELP_PART_H_

#include <set>
#include <string>

#include "tests/faults/stage.h"

// The part of the play that is about calls for help. Used by one thread.
namespace handrail::tests {

// Where everybody who reaches out is.
inline constexpr char kCallersCountry[] = "US";

// Every reply to a call for help carries the lines of the caller's country; whatever is down.
void CheckLines(History& history, const matching::v1::CrisisHelp& crisis);

// A newcomer who reaches out now and then, looks what became of it, and sometimes takes it back.
class HelpSeeker {
 public:
  HelpSeeker(Stage& stage, tools::Person& person) : stage_(stage), person_(person) {}
  void Step();
  // Takes back what is open.
  void Finish();

 private:
  void Reach();
  void Look();
  void Cancel();

  Stage& stage_;
  tools::Person& person_;
  std::string call_;
  bool limited_ = false;  // for the rest of the hour
};

// A sponsor who is on call and answers.
class HelpGiver {
 public:
  HelpGiver(Stage& stage, tools::Person& person) : stage_(stage), person_(person) {}
  void Step();

 private:
  void GoOnCall();
  void Answer(const std::string& name);
  void Pass(const std::string& name);

  Stage& stage_;
  tools::Person& person_;
  bool on_call_ = false;
  std::set<std::string> passed_;
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_FAULTS_HELP_PART_H_

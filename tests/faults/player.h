#ifndef HANDRAIL_TESTS_FAULTS_PLAYER_H_
#define HANDRAIL_TESTS_FAULTS_PLAYER_H_

#include <map>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "tests/support/history.h"
#include "tests/support/people.h"

namespace handrail::tests {

// What all players share.
struct Stage {
  tools::Services& services;
  Clock& clock;
  Random& random;
  History& history;
};

// What one person knows of a conversation that they are in: reads on, and says what was read.
class Talk {
 public:
  Talk(Stage& stage, tools::Person& person, ConversationId id)
      : stage_(stage), person_(person), id_(id) {}

  const ConversationId& id() const { return id_; }
  int sent() const { return sent_; }
  // False when the conversation is closed.
  bool Send();
  // Fetches what is new, holds it against what was read before, acknowledges it.
  void Read();

 private:
  Stage& stage_;
  tools::Person& person_;
  const ConversationId id_;
  int64_t read_to_ = 0;
  int sent_ = 0;
};

// One person in the main job. Each step makes a few calls, repeats what has no outcome under the
// same request id, and writes down what was acknowledged. Used by one thread.
class Player {
 public:
  virtual ~Player() = default;
  virtual void Step() = 0;
  // Brings what is open to an end, so that the audit finds everything at rest.
  virtual void Finish() = 0;
};

class NewcomerPlayer final : public Player {
 public:
  NewcomerPlayer(Stage& stage, std::unique_ptr<tools::Person> person)
      : stage_(stage), person_(std::move(person)) {}
  void Step() override;
  void Finish() override;

 private:
  void Ask();
  void Look();
  void Cancel();
  void Chat();
  void End();
  void Block();

  Stage& stage_;
  const std::unique_ptr<tools::Person> person_;
  std::string ticket_;
  std::string pairing_;
  std::unique_ptr<Talk> talk_;
};

class SponsorPlayer final : public Player {
 public:
  SponsorPlayer(Stage& stage, std::unique_ptr<tools::Person> person)
      : stage_(stage), person_(std::move(person)) {}
  void Step() override;
  void Finish() override;

 private:
  void Answer(const matching::v1::Offer& offer);
  void Follow(const std::string& pairing, std::unique_ptr<Talk>& talk);

  Stage& stage_;
  const std::unique_ptr<tools::Person> person_;
  std::map<std::string, std::unique_ptr<Talk>> talks_;  // by pairing
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_FAULTS_PLAYER_H_

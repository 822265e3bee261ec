#ifndef HANDRAIL_TESTS_FAULTS_PLAYER_H_
#define HANDRAIL_TESTS_FAULTS_PLAYER_H_

#include <map>
#include <memory>
#include <string>

#include "common/base/ids.h"
#include "tests/faults/care_part.h"
#include "tests/faults/choice_part.h"
#include "tests/faults/help_part.h"
#include "tests/faults/stage.h"

namespace handrail::tests {

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

// What a newcomer asks for.
enum class Wish {
  kSponsor,
  kChoice,            // a sponsor, and chooses among candidates
  kTemporaryContact,  // with offers side by side
};

class NewcomerPlayer final : public Player {
 public:
  NewcomerPlayer(Stage& stage, std::unique_ptr<tools::Person> person, Wish wish)
      : stage_(stage),
        person_(std::move(person)),
        wish_(wish),
        help_(stage, *person_),
        choice_(stage, *person_) {}
  void Step() override;
  void Finish() override;

 private:
  void Ask();
  void Look();
  void Cancel();
  void Chat();
  void Leave();
  void Rematch();
  void Block();
  void TakeTicket(const matching::v1::Ticket& ticket);

  Stage& stage_;
  const std::unique_ptr<tools::Person> person_;
  const Wish wish_;
  HelpSeeker help_;
  Chooser choice_;
  std::string ticket_;
  absl::Time asked_;  // the ticket's age
  std::string pairing_;
  std::unique_ptr<Talk> talk_;
  std::unique_ptr<PairingCare> care_;
};

class SponsorPlayer final : public Player {
 public:
  SponsorPlayer(Stage& stage, std::unique_ptr<tools::Person> person, int capacity)
      : stage_(stage),
        person_(std::move(person)),
        help_(stage, *person_),
        seats_(stage, *person_, capacity) {}
  void Step() override;
  void Finish() override;

 private:
  // One pairing, as far as the sponsor is in it.
  struct Thread {
    std::unique_ptr<Talk> talk;  // null until there is a conversation
    std::unique_ptr<PairingCare> care;
  };
  void Answer(const matching::v1::Offer& offer);
  void Accept(const matching::v1::Offer& offer);
  void Follow(const std::string& pairing, Thread& thread);
  // False when the sponsor is done with it.
  bool GoOn(const std::string& pairing, Thread& thread);

  Stage& stage_;
  const std::unique_ptr<tools::Person> person_;
  HelpGiver help_;
  SeatCare seats_;
  std::map<std::string, Thread> threads_;  // by pairing
};

}  // namespace handrail::tests

#endif  // HANDRAIL_TESTS_FAULTS_PLAYER_H_

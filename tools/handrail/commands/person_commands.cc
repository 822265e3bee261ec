#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "tools/handrail/client/profile_words.h"
#include "tools/handrail/client/words.h"
#include "tools/handrail/commands/context.h"

namespace handrail::tools {
namespace {

using profiles::v1::ProfileService;

struct NewPersonWords {
  std::string name;
  bool newcomer = false;
  bool sponsor = false;
  PersonWords person;
  std::vector<std::string> programs;
  std::vector<std::string> relationships;
  std::string recovery_date;
  int steps_done = 12;
};

absl::Status GrantConsents(Person& person) {
  for (const auto purpose :
       {profiles::v1::CONSENT_PURPOSE_MATCHING, profiles::v1::CONSENT_PURPOSE_HEALTH_DATA}) {
    profiles::v1::GrantConsentRequest request;
    request.set_purpose(purpose);
    request.set_notice_version("2026-11");
    request.set_notice_language("en");
    request.set_request_id(person.NewRequestId());
    const auto receipt =
        person.Call(person.services().profile(), &ProfileService::Stub::GrantConsent, request);
    RETURN_IF_ERROR(receipt.status());
  }
  return absl::OkStatus();
}

absl::StatusOr<common::v1::NewcomerTraits> NewcomerSide(const NewPersonWords& words) {
  common::v1::NewcomerTraits side;
  ASSIGN_OR_RETURN(*side.mutable_person(), ToTraits(words.person));
  for (const std::string& program : words.programs) {
    ASSIGN_OR_RETURN(const auto philosophy, FromWord<common::v1::Philosophy>(program));
    side.add_philosophies(philosophy);
  }
  if (!words.sponsor && !words.recovery_date.empty()) {
    ASSIGN_OR_RETURN(*side.mutable_recovery_date(), ParseDate(words.recovery_date));
  }
  return side;
}

absl::StatusOr<common::v1::SponsorTraits> SponsorSide(const NewPersonWords& words) {
  common::v1::SponsorTraits side;
  ASSIGN_OR_RETURN(*side.mutable_person(), ToTraits(words.person));
  for (const std::string& program : words.programs) {
    common::v1::SponsorProgram* row = side.add_programs();
    ASSIGN_OR_RETURN(const auto philosophy, FromWord<common::v1::Philosophy>(program));
    row->set_philosophy(philosophy);
    if (!words.recovery_date.empty()) {
      ASSIGN_OR_RETURN(*row->mutable_recovery_date(), ParseDate(words.recovery_date));
    }
    row->set_steps_done(words.steps_done);
    row->set_has_own_sponsor(true);
    row->set_attends_actively(true);
    row->add_trainings(common::v1::TRAINING_BOUNDARIES);
    row->add_trainings(common::v1::TRAINING_FACILITATOR);
    for (const std::string& word : words.relationships) {
      ASSIGN_OR_RETURN(const auto type, FromWord<common::v1::RelationshipType>(word));
      row->add_relationship_types(type);
    }
  }
  return side;
}

absl::Status NewPerson(Context& context, const NewPersonWords& words) {
  RETURN_IF_ERROR(CheckPersonName(words.name));
  ASSIGN_OR_RETURN(const Layout layout, context.GetLayout());
  const std::string path = layout.PersonFile(words.name);
  if (access(path.c_str(), F_OK) == 0) {
    return Error(absl::StatusCode::kAlreadyExists, reason::kFieldInvalid)
        .Message(absl::StrCat(words.name, " exists already: ", path));
  }
  profiles::v1::UpdateProfileRequest update;
  update.mutable_profile()->set_pseudonym(words.name);
  update.mutable_update_mask()->add_paths("pseudonym");
  if (words.newcomer) {
    ASSIGN_OR_RETURN(*update.mutable_profile()->mutable_newcomer(), NewcomerSide(words));
    update.mutable_update_mask()->add_paths("newcomer");
  }
  if (words.sponsor) {
    ASSIGN_OR_RETURN(*update.mutable_profile()->mutable_sponsor(), SponsorSide(words));
    update.mutable_update_mask()->add_paths("sponsor");
  }
  ASSIGN_OR_RETURN(Services * services, context.GetServices());
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person,
                   Person::Register(*services, context.clock, context.random));
  RETURN_IF_ERROR(person->Save(path));
  update.set_request_id(person->NewRequestId());
  RETURN_IF_ERROR(
      person->Call(services->profile(), &ProfileService::Stub::UpdateProfile, update).status());
  RETURN_IF_ERROR(GrantConsents(*person));
  if (words.sponsor) {
    profiles::v1::AttestAvailabilityRequest attest;
    attest.set_request_id(person->NewRequestId());
    RETURN_IF_ERROR(
        person->Call(services->profile(), &ProfileService::Stub::AttestAvailability, attest)
            .status());
  }
  std::cout << words.name << " is " << person->member() << "\n"
            << "The key of this device lies in " << path << "; whoever has it is " << words.name
            << ".\n";
  if (words.sponsor) {
    std::cout << "Next: handrail sponsor set " << words.name << " --capacity 1\n";
  }
  return absl::OkStatus();
}

absl::Status ListPeople(Context& context) {
  ASSIGN_OR_RETURN(const Layout layout, context.GetLayout());
  for (const auto& entry : std::filesystem::directory_iterator(layout.root + "/people")) {
    if (entry.path().extension() == ".json") std::cout << entry.path().stem().string() << "\n";
  }
  return absl::OkStatus();
}

absl::Status ShowPerson(Context& context, const std::string& name) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(name));
  ASSIGN_OR_RETURN(const profiles::v1::Profile profile,
                   person->Call(person->services().profile(), &ProfileService::Stub::GetProfile,
                                profiles::v1::GetProfileRequest()));
  std::cout << profile.DebugString();
  return absl::OkStatus();
}

absl::Status BlockPerson(Context& context, const std::string& name, const std::string& other) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(name));
  std::string member = other;
  if (member.find('/') == std::string::npos) {
    ASSIGN_OR_RETURN(std::unique_ptr<Person> blocked, context.LoadPerson(other));
    member = blocked->member();
  }
  profiles::v1::BlockMemberRequest request;
  request.set_member(member);
  request.set_request_id(person->NewRequestId());
  ASSIGN_OR_RETURN(const profiles::v1::BlockMemberResponse response,
                   person->Call(person->services().safety(),
                                &profiles::v1::SafetyService::Stub::BlockMember, request));
  std::cout << "Blocked. Nothing is offered or delivered between the two any more"
            << (response.pending() ? "; one service is down and will follow as soon as it is back"
                                   : "")
            << ".\n";
  return absl::OkStatus();
}

// members/…, of a name here or as it is.
absl::StatusOr<std::string> MemberOf(Context& context, const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(name));
  return person->member();
}

absl::Status AvoidPerson(Context& context, const std::string& name, const std::string& other,
                         const std::string& relation) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(name));
  profiles::v1::AvoidMemberRequest request;
  ASSIGN_OR_RETURN(*request.mutable_member(), MemberOf(context, other));
  if (!relation.empty()) {
    ASSIGN_OR_RETURN(const auto known_from, FromWord<profiles::v1::Relation>(relation));
    request.set_relation(known_from);
  }
  request.set_request_id(person->NewRequestId());
  RETURN_IF_ERROR(person
                      ->Call(person->services().avoid(),
                             &profiles::v1::AvoidService::Stub::AvoidMember, request)
                      .status());
  std::cout << "The two are not offered to each other any more. Nothing that they have is ended, "
               "and nobody is told.\n";
  return absl::OkStatus();
}

absl::Status StopAvoidingPerson(Context& context, const std::string& name,
                                const std::string& other) {
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(name));
  profiles::v1::StopAvoidingMemberRequest request;
  ASSIGN_OR_RETURN(*request.mutable_member(), MemberOf(context, other));
  request.set_request_id(person->NewRequestId());
  RETURN_IF_ERROR(person
                      ->Call(person->services().avoid(),
                             &profiles::v1::AvoidService::Stub::StopAvoidingMember, request)
                      .status());
  std::cout << "Not on the list any more.\n";
  return absl::OkStatus();
}

void AddAvoidCommands(CLI::App& person, Context& context) {
  auto name = std::make_shared<std::string>();
  auto other = std::make_shared<std::string>();
  auto relation = std::make_shared<std::string>();
  CLI::App* avoid = person.add_subcommand(
      "avoid", "Puts someone on a private list of people not to be matched with; it is no block");
  avoid->add_option("name", *name, "Whose list")->required();
  avoid->add_option("other", *other, "Whom: a name here, or members/…")->required();
  avoid->add_option("--relation", *relation,
                    "Private: workplace, household, same-treatment, clinician, employer, "
                    "facility-staff");
  avoid->callback([=, &context] {
    context.action = [=, &context] { return AvoidPerson(context, *name, *other, *relation); };
  });
  CLI::App* stop = person.add_subcommand("stop-avoiding", "Takes someone off that list");
  stop->add_option("name", *name, "Whose list")->required();
  stop->add_option("other", *other, "Whom: a name here, or members/…")->required();
  stop->callback([=, &context] {
    context.action = [=, &context] { return StopAvoidingPerson(context, *name, *other); };
  });
}

void AddNewPerson(CLI::App& person, Context& context) {
  auto words = std::make_shared<NewPersonWords>();
  words->person.languages = {"en"};
  words->person.time_zone = "America/New_York";
  words->person.hours = {"mon-fri 18:00-21:00", "sat-sun 10:00-14:00"};
  words->person.modalities = {"app-text"};
  words->person.gender = "woman";
  words->relationships = {"sponsor", "temporary-contact"};
  CLI::App* add = person.add_subcommand("new", "Registers a new person with a key on this machine");
  add->add_option("name", words->name, "What this machine calls the person")->required();
  add->add_flag("--newcomer", words->newcomer, "The person looks for someone");
  add->add_flag("--sponsor", words->sponsor, "The person is there for others");
  add->add_option(
      "--program", words->programs,
      absl::StrCat("One or more of: ",
                   WordsOf(google::protobuf::GetEnumDescriptor<common::v1::Philosophy>())));
  add->add_option("--relationship", words->relationships, "What a sponsor is willing to be");
  add->add_option("--recovery-date", words->recovery_date, "A day, such as 2019-04-30");
  add->add_option("--language", words->person.languages, "BCP 47, best first");
  add->add_option("--zone", words->person.time_zone, "IANA time zone");
  add->add_option("--hours", words->person.hours, "Such as \"mon-fri 18:00-21:00\"");
  add->add_option("--modality", words->person.modalities, "How to be in touch");
  add->add_option("--gender", words->person.gender, "woman, man, non-binary, another");
  add->add_option("--gender-rule", words->person.gender_rule, "same-gender, explicit-set, any");
  add->add_option("--age", words->person.age_band, "Such as 25-34");
  add->add_option("--stance", words->person.spiritual_stance,
                  "secular, spiritual-open, faith, no-preference");
  add->add_option("--steps", words->steps_done, "Steps a sponsor has completed");
  add->callback([words, &context] {
    context.action = [words, &context]() -> absl::Status {
      if (!words->newcomer && !words->sponsor) words->newcomer = true;
      if (words->programs.empty()) words->programs = {"aa"};
      return NewPerson(context, *words);
    };
  });
}

}  // namespace

void AddPersonCommands(CLI::App& app, Context& context) {
  CLI::App* person = app.add_subcommand("person", "Makes people to try things with");
  person->require_subcommand(1);
  AddNewPerson(*person, context);
  person->add_subcommand("list", "The people whose keys are in the data folder")
      ->callback([&context] { context.action = [&context] { return ListPeople(context); }; });
  auto name = std::make_shared<std::string>();
  auto other = std::make_shared<std::string>();
  CLI::App* show = person->add_subcommand("show", "A person's own profile");
  show->add_option("name", *name, "The person")->required();
  show->callback(
      [=, &context] { context.action = [=, &context] { return ShowPerson(context, *name); }; });
  AddDeviceCommands(*person, context);
  AddAvoidCommands(*person, context);
  CLI::App* block = person->add_subcommand("block", "Blocks someone, for good and both ways");
  block->add_option("name", *name, "Who blocks")->required();
  block->add_option("other", *other, "Who is blocked: a name here, or members/…")->required();
  block->callback([=, &context] {
    context.action = [=, &context] { return BlockPerson(context, *name, *other); };
  });
}

}  // namespace handrail::tools

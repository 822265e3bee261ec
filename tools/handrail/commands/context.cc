#include "tools/handrail/commands/context.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::tools {

absl::StatusOr<Layout> Context::GetLayout() { return MakeLayout(data_folder); }

absl::StatusOr<Endpoints> Context::GetEndpoints() {
  const Endpoints& given = override_endpoints;
  if (!given.profiles.empty() && !given.matching.empty() && !given.messaging.empty()) return given;
  if (!given.ca_file.empty()) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
        .Message(
            "--ca_file needs --profiles, --matching and --messaging too; what runs on a data "
            "folder is reached without TLS");
  }
  ASSIGN_OR_RETURN(Endpoints endpoints, ReadEndpoints(data_folder));
  if (!given.profiles.empty()) endpoints.profiles = given.profiles;
  if (!given.matching.empty()) endpoints.matching = given.matching;
  if (!given.messaging.empty()) endpoints.messaging = given.messaging;
  return endpoints;
}

absl::StatusOr<Services*> Context::GetServices() {
  if (services_ == nullptr) {
    ASSIGN_OR_RETURN(const Endpoints endpoints, GetEndpoints());
    ASSIGN_OR_RETURN(services_, Services::Create(endpoints));
  }
  return services_.get();
}

absl::StatusOr<std::unique_ptr<Person>> Context::LoadPerson(const std::string& name) {
  RETURN_IF_ERROR(CheckPersonName(name));
  ASSIGN_OR_RETURN(Services * services, GetServices());
  ASSIGN_OR_RETURN(const Layout layout, GetLayout());
  auto person = Person::Load(*services, clock, random, layout.PersonFile(name));
  if (person.ok()) return person;
  return Error(absl::StatusCode::kNotFound, reason::kConfigurationInvalid)
      .Message(absl::StrCat("no person named ", name, " in ", layout.root,
                            ". Make one with: handrail person new ", name, " --newcomer"));
}

absl::StatusOr<std::unique_ptr<Person>> Context::LoadOperator(const std::string& name) {
  RETURN_IF_ERROR(CheckPersonName(name));
  ASSIGN_OR_RETURN(Services * services, GetServices());
  ASSIGN_OR_RETURN(const Layout layout, GetLayout());
  const std::string path = layout.PersonFile(name);
  if (!ReadFile(path).ok()) {
    return Error(absl::StatusCode::kNotFound, reason::kConfigurationInvalid)
        .Message(absl::StrCat("no operator named ", name, " in ", layout.root,
                              ". Make one with: handrail operator new ", name));
  }
  return Person::LoadOrRegister(*services, clock, random, path);
}

}  // namespace handrail::tools

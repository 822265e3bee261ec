#include <iostream>
#include <memory>

#include "common/base/status.h"
#include "tools/handrail/client/device_code.h"
#include "tools/handrail/commands/context.h"

namespace handrail::tools {
namespace {

absl::Status AddDevice(Context& context, const std::string& name, const std::string& code) {
  profiles::v1::AddDeviceRequest request;
  ASSIGN_OR_RETURN(*request.mutable_proof(), ParseDeviceCode(code));
  ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(name));
  request.set_request_id(person->NewRequestId());
  ASSIGN_OR_RETURN(const profiles::v1::Device device,
                   person->Call(person->services().identity(),
                                &profiles::v1::IdentityService::Stub::AddDevice, request));
  std::cout << "Added: " << device.name() << ", a device of " << person->member() << ".\n";
  return absl::OkStatus();
}

}  // namespace

void AddDeviceCommands(CLI::App& person, Context& context) {
  auto name = std::make_shared<std::string>();
  auto code = std::make_shared<std::string>();
  CLI::App* add = person.add_subcommand(
      "add-device", "Makes a device one of the person's, with the code of handrail-chat join");
  add->add_option("name", *name, "Whose it becomes")->required();
  add->add_option("code", *code, "What the device shows; good for a minute, once")->required();
  add->callback([=, &context] {
    context.action = [=, &context] { return AddDevice(context, *name, *code); };
  });
}

}  // namespace handrail::tools

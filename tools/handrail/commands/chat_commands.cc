#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tools/handrail/client/words.h"
#include "tools/handrail/commands/context.h"
#include "tools/handrail/commands/print.h"

namespace handrail::tools {
namespace {

using messaging::v1::Conversation;
using messaging::v1::Envelope;
using messaging::v1::MessagingService;

absl::StatusOr<messaging::v1::ListConversationsResponse> Conversations(Person& person) {
  return person.Call(person.services().messaging(), &MessagingService::Stub::ListConversations,
                     messaging::v1::ListConversationsRequest());
}

// The conversation that was named, or the only open one.
absl::StatusOr<std::string> ChooseConversation(Person& person, const std::string& given) {
  if (!given.empty()) return given;
  ASSIGN_OR_RETURN(const messaging::v1::ListConversationsResponse list, Conversations(person));
  std::string chosen;
  for (const Conversation& conversation : list.conversations()) {
    if (conversation.state() != messaging::v1::CONVERSATION_STATE_OPEN) continue;
    if (!chosen.empty()) {
      return Error(absl::StatusCode::kFailedPrecondition, reason::kFieldInvalid)
          .Message("there are several open conversations; name one with --conversation");
    }
    chosen = conversation.name();
  }
  if (!chosen.empty()) return chosen;
  return Error(absl::StatusCode::kNotFound, reason::kNotFound)
      .Message("there is no open conversation; it comes with a pairing");
}

void PrintEnvelope(const Envelope& envelope, const std::string& self) {
  std::cout << envelope.sequence() << "  " << TimeWord(envelope.create_time()) << "  "
            << (envelope.sender() == self ? "you" : "they") << ": " << envelope.payload() << "\n";
}

absl::Status List(Person& person) {
  ASSIGN_OR_RETURN(const messaging::v1::ListConversationsResponse list, Conversations(person));
  for (const Conversation& conversation : list.conversations()) {
    std::cout << conversation.name() << "  " << Word(conversation.state()) << "  "
              << conversation.head_sequence() << " messages, read up to "
              << conversation.acked_sequence() << "\n";
  }
  if (list.conversations_size() == 0) std::cout << "No conversations.\n";
  return absl::OkStatus();
}

absl::Status Send(Person& person, const std::string& given, const std::string& text) {
  messaging::v1::SendMessageRequest request;
  ASSIGN_OR_RETURN(*request.mutable_conversation(), ChooseConversation(person, given));
  request.set_message_id(person.NewRequestId());
  request.set_payload(text);
  ASSIGN_OR_RETURN(
      const messaging::v1::SendMessageResponse response,
      person.Call(person.services().messaging(), &MessagingService::Stub::SendMessage, request));
  std::cout << "Stored as message " << response.sequence() << ".\n";
  return absl::OkStatus();
}

absl::Status Acknowledge(Person& person, const std::string& conversation, int64_t sequence) {
  messaging::v1::AckMessagesRequest request;
  messaging::v1::Cursor* cursor = request.add_cursors();
  cursor->set_conversation(conversation);
  cursor->set_after_sequence(sequence);
  return person.Call(person.services().messaging(), &MessagingService::Stub::AckMessages, request)
      .status();
}

// Prints and acknowledges what this device has not acknowledged yet.
absl::Status Read(Person& person, const std::string& given) {
  std::string name = given;
  messaging::v1::ListConversationsResponse list;
  if (name.empty()) {
    ASSIGN_OR_RETURN(list, Conversations(person));
    if (list.conversations_size() == 1) name = list.conversations(0).name();
  }
  if (name.empty()) {
    ASSIGN_OR_RETURN(name, ChooseConversation(person, given));
  }
  messaging::v1::GetConversationRequest get;
  get.set_name(name);
  ASSIGN_OR_RETURN(
      const Conversation conversation,
      person.Call(person.services().messaging(), &MessagingService::Stub::GetConversation, get));
  messaging::v1::FetchMessagesRequest fetch;
  fetch.set_conversation(name);
  fetch.set_after_sequence(conversation.acked_sequence());
  bool more = true;
  while (more) {
    ASSIGN_OR_RETURN(
        const messaging::v1::FetchMessagesResponse page,
        person.Call(person.services().messaging(), &MessagingService::Stub::FetchMessages, fetch));
    if (page.has_gap()) {
      std::cout << "Messages " << page.gap().first_sequence() << " to "
                << page.gap().last_sequence() << " are no longer kept.\n";
      fetch.set_after_sequence(page.gap().last_sequence());
    }
    for (const Envelope& envelope : page.envelopes()) {
      PrintEnvelope(envelope, person.member());
      fetch.set_after_sequence(envelope.sequence());
    }
    more = page.has_more();
  }
  if (fetch.after_sequence() == conversation.acked_sequence()) {
    std::cout << "Nothing new.\n";
    return absl::OkStatus();
  }
  return Acknowledge(person, name, fetch.after_sequence());
}

// Prints and acknowledges messages as they come, until it is interrupted.
absl::Status Follow(Person& person) {
  while (true) {
    grpc::ClientContext context;
    RETURN_IF_ERROR(person.Authorize(context));
    auto stream =
        person.services().messaging().Subscribe(&context, messaging::v1::SubscribeRequest());
    messaging::v1::SubscribeResponse event;
    while (stream->Read(&event)) {
      if (event.has_closing() && event.closing().cause() == messaging::v1::CLOSING_CAUSE_REPLACED) {
        std::cout << "Another program reads as this device now.\n";
        context.TryCancel();
        return absl::OkStatus();
      }
      if (!event.has_envelope()) continue;
      PrintEnvelope(event.envelope(), person.member());
      std::cout << std::flush;
      RETURN_IF_ERROR(
          Acknowledge(person, event.envelope().conversation(), event.envelope().sequence()));
    }
    const absl::Status status = rpc::FromGrpcStatus(stream->Finish());
    if (!status.ok() && !absl::IsUnavailable(status)) return status;
    RETURN_IF_ERROR(Conversations(person).status());  // waits until the service is back
  }
}

}  // namespace

void AddChatCommands(CLI::App& app, Context& context) {
  CLI::App* chat = app.add_subcommand("chat", "As either: the conversation of a pairing");
  chat->require_subcommand(1);
  chat->footer(
      "Messages are stored as the bytes that are sent: this command does not encrypt them, and "
      "whoever\n"
      "can read the ledger can read them. To talk end to end encrypted: tools/handrail-chat "
      "--help");
  auto name = std::make_shared<std::string>();
  auto conversation = std::make_shared<std::string>();
  auto text = std::make_shared<std::string>();
  auto follow = std::make_shared<bool>(false);
  const auto add = [&](const char* word, const char* help,
                       std::function<absl::Status(Person&)> act) {
    CLI::App* command = chat->add_subcommand(word, help);
    command->add_option("name", *name, "The person")->required();
    command->callback([=, &context] {
      context.action = [=, &context]() -> absl::Status {
        ASSIGN_OR_RETURN(std::unique_ptr<Person> person, context.LoadPerson(*name));
        return act(*person);
      };
    });
    return command;
  };
  add("list", "Conversations, newest first", List);
  CLI::App* send = add("send", "Sends a message",
                       [=](Person& person) { return Send(person, *conversation, *text); });
  send->add_option("text", *text, "The message")->required();
  send->add_option("--conversation", *conversation, "conversations/…");
  CLI::App* read = add("read", "Shows and acknowledges new messages", [=](Person& person) {
    return *follow ? Follow(person) : Read(person, *conversation);
  });
  read->add_option("--conversation", *conversation, "conversations/…");
  read->add_flag("--follow", *follow, "Stay and show messages as they come, until Ctrl-C");
}

}  // namespace handrail::tools

#include "services/messaging/handlers/messaging_handler.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "services/messaging/adapters/proto_conversion.h"
#include "services/messaging/handlers/connect_stream.h"
#include "services/messaging/handlers/subscribe_stream.h"

namespace handrail::messaging {
namespace {

constexpr absl::string_view kListQuestion = "messaging.ListConversations";

std::string CursorOf(const Conversation& last) {
  return absl::StrCat(absl::ToUnixMicros(last.create_time), " ", last.id.ToString());
}

// Only ever sees what CursorOf made, because the token is authenticated.
absl::StatusOr<MessageStore::ListPosition> PositionOf(absl::string_view cursor) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(cursor, absl::MaxSplits(' ', 1));
  int64_t micros = 0;
  const auto id = ConversationId::Parse(parts.second);
  if (!absl::SimpleAtoi(parts.first, &micros) || !id.ok()) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kPageTokenInvalid)
        .Message("this page_token is none of ours")
        .Field("page_token", "not a token of this list");
  }
  return MessageStore::ListPosition{absl::FromUnixMicros(micros), *id};
}

}  // namespace

grpc::ServerUnaryReactor* MessagingHandler::SendMessage(grpc::CallbackServerContext* context,
                                                        const v1::SendMessageRequest* request,
                                                        v1::SendMessageResponse* response) {
  return edge_.UnaryAsync(
      context, request, response,
      [this](const Call& call, const v1::SendMessageRequest& send, v1::SendMessageResponse* answer,
             std::function<void(absl::Status)> done) {
        // The request belongs to this call alone: its payload is taken, not copied.
        auto message = TakeMessage(const_cast<v1::SendMessageRequest&>(send));
        if (!message.ok()) {
          meter_.OnSend(message.status());
          return done(message.status());
        }
        messaging_.Send(call, *std::move(message), nullptr,
                        [this, answer, done = std::move(done)](absl::StatusOr<Appended> result) {
                          meter_.OnSend(result.status());
                          if (!result.ok()) return done(result.status());
                          answer->set_sequence(result->sequence);
                          ToProto(result->create_time, answer->mutable_create_time());
                          done(absl::OkStatus());
                        });
      });
}

grpc::ServerWriteReactor<v1::SubscribeResponse>* MessagingHandler::Subscribe(
    grpc::CallbackServerContext* context, const v1::SubscribeRequest* request) {
  auto admitted = edge_.AdmitStream(context, *request);
  if (!admitted.ok()) return rpc::RefuseStream<v1::SubscribeResponse>(admitted.status());
  auto cursors = FromProto(request->cursors());
  if (!cursors.ok()) return rpc::RefuseStream<v1::SubscribeResponse>(cursors.status());
  const auto stream = std::make_shared<SubscribeStream>(
      messaging_, meter_, std::move(admitted->call), *std::move(cursors));
  return stream->Begin(streams_, context, std::move(admitted->slot), openers_);
}

grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>* MessagingHandler::Connect(
    grpc::CallbackServerContext* context) {
  auto admitted = edge_.AdmitStream<v1::ConnectRequest>(context);
  if (!admitted.ok()) {
    return rpc::RefuseBidiStream<v1::ConnectRequest, v1::ConnectResponse>(admitted.status());
  }
  const auto stream = std::make_shared<ConnectStream>(messaging_, edge_, clock_, openers_, meter_,
                                                      std::move(admitted->call));
  return stream->Begin(streams_, context, std::move(admitted->slot));
}

grpc::ServerUnaryReactor* MessagingHandler::AckMessages(grpc::CallbackServerContext* context,
                                                        const v1::AckMessagesRequest* request,
                                                        v1::AckMessagesResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::AckMessagesRequest& ack,
                            v1::AckMessagesResponse*) -> absl::Status {
                       ASSIGN_OR_RETURN(const auto cursors, FromProto(ack.cursors()));
                       return messaging_.Acknowledge(call, cursors);
                     });
}

grpc::ServerUnaryReactor* MessagingHandler::FetchMessages(grpc::CallbackServerContext* context,
                                                          const v1::FetchMessagesRequest* request,
                                                          v1::FetchMessagesResponse* response) {
  return edge_.Unary(
      context, request, response,
      [this](const Call& call, const v1::FetchMessagesRequest& fetch,
             v1::FetchMessagesResponse* answer) -> absl::Status {
        ASSIGN_OR_RETURN(const auto id, ConversationId::FromName(fetch.conversation()));
        ASSIGN_OR_RETURN(const MessagePage page,
                         messaging_.Fetch(call, id, fetch.after_sequence(), fetch.page_size()));
        for (const EnvelopePtr& envelope : page.envelopes) {
          ToProto(*envelope, answer->add_envelopes());
        }
        meter_.OnDelivered(answer->envelopes_size());
        if (page.gap.has_value()) ToProto(*page.gap, answer->mutable_gap());
        answer->set_has_more(page.has_more);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* MessagingHandler::GetConversation(
    grpc::CallbackServerContext* context, const v1::GetConversationRequest* request,
    v1::Conversation* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::GetConversationRequest& get,
                            v1::Conversation* answer) -> absl::Status {
                       ASSIGN_OR_RETURN(const auto id, ConversationId::FromName(get.name()));
                       ASSIGN_OR_RETURN(const Conversation conversation,
                                        messaging_.GetConversation(call, id));
                       ToProto(conversation, answer);
                       return absl::OkStatus();
                     });
}

absl::Status MessagingHandler::List(const Call& call, const v1::ListConversationsRequest& request,
                                    v1::ListConversationsResponse* response) {
  const std::string caller = call.who.member.Name();
  std::optional<MessageStore::ListPosition> after;
  if (!request.page_token().empty()) {
    ASSIGN_OR_RETURN(const std::string cursor,
                     page_tokens_.Parse(request.page_token(), caller, kListQuestion));
    ASSIGN_OR_RETURN(after, PositionOf(cursor));
  }
  ASSIGN_OR_RETURN(const Messaging::ConversationPage page,
                   messaging_.ListConversations(call, after, request.page_size()));
  for (const Conversation& conversation : page.conversations) {
    ToProto(conversation, response->add_conversations());
  }
  if (page.has_more) {
    response->set_next_page_token(
        page_tokens_.Make(caller, kListQuestion, CursorOf(page.conversations.back())));
  }
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* MessagingHandler::ListConversations(
    grpc::CallbackServerContext* context, const v1::ListConversationsRequest* request,
    v1::ListConversationsResponse* response) {
  return edge_.Unary(
      context, request, response,
      [this](const Call& call, const v1::ListConversationsRequest& list,
             v1::ListConversationsResponse* answer) { return List(call, list, answer); });
}

grpc::ServerUnaryReactor* MessagingHandler::LeaveConversation(
    grpc::CallbackServerContext* context, const v1::LeaveConversationRequest* request,
    v1::LeaveConversationResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::LeaveConversationRequest& leave,
                            v1::LeaveConversationResponse*) -> absl::Status {
                       ASSIGN_OR_RETURN(const auto id, ConversationId::FromName(leave.name()));
                       return messaging_.LeaveConversation(call, id);
                     });
}

}  // namespace handrail::messaging

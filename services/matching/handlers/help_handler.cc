#include "services/matching/handlers/help_handler.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "services/matching/domain/help_texts.h"
#include "services/matching/handlers/crisis_lines.h"
#include "services/matching/handlers/ticket_proto.h"
#include "services/matching/handlers/watch_stream.h"

namespace handrail::matching {
namespace {

// Of the traits that only choose a language: nobody waits long for them.
constexpr absl::Duration kLocaleTimeout = absl::Seconds(1);
// What a watch of those who are asked holds; older calls are left to ListHelpCalls.
constexpr int kWatchedCalls = 50;

std::string Text(HelpText text, const std::string& language) {
  return std::string(TextOf(text, HelpLanguageOf(language)));
}

void CallToProto(const HelpCall& call, const std::string& language, v1::HelpCall* proto) {
  proto->set_name(call.id.Name());
  proto->set_state(static_cast<v1::HelpCallState>(call.state));
  if (call.state == HelpState::kOpen) {
    proto->set_stage(static_cast<v1::HelpStage>(call.stage));
    TimeToProto(call.stage_deadline, proto->mutable_stage_deadline());
  }
  TimeToProto(call.create_time, proto->mutable_create_time());
  proto->set_asked_count(call.asked);
  if (call.answered_by.has_value()) proto->set_answered_by(call.answered_by->Name());
  if (call.answer_time.has_value()) TimeToProto(*call.answer_time, proto->mutable_answer_time());
  if (call.conversation.has_value()) proto->set_conversation(call.conversation->Name());
  if (call.contact_end.has_value()) {
    TimeToProto(*call.contact_end, proto->mutable_contact_end_time());
  }
  proto->set_version(call.version);
  proto->set_text(Text(TextFor(call), language));
}

void AskToProto(const HelpAsk& ask, const std::string& language, v1::HelpAsk* proto) {
  proto->set_name(ask.call.Name());
  proto->set_state(static_cast<v1::HelpAskState>(ask.state));
  proto->set_asked_as(static_cast<v1::HelpStage>(ask.asked_as));
  if (ask.member.has_value()) proto->set_member(ask.member->Name());
  TimeToProto(ask.create_time, proto->mutable_create_time());
  TimeToProto(ask.ask_time, proto->mutable_ask_time());
  if (ask.conversation.has_value()) proto->set_conversation(ask.conversation->Name());
  if (ask.contact_end.has_value()) {
    TimeToProto(*ask.contact_end, proto->mutable_contact_end_time());
  }
  proto->set_version(ask.version);
  proto->set_text(Text(TextFor(ask.state), language));
}

// Of a call that is no longer there for whom it was put before: as they saw it last, and over.
void EndToProto(const std::string& language, v1::HelpAsk* proto) {
  proto->set_state(v1::HELP_ASK_STATE_OVER);
  proto->set_version(proto->version() + 1);
  proto->set_text(Text(TextFor(HelpAskState::kOver), language));
}

void OnCallToProto(const OnCall& duty, v1::OnCall* proto) {
  proto->set_sponsor(duty.sponsor.Name());
  proto->set_on_call(duty.end_time.has_value());
  if (duty.end_time.has_value()) TimeToProto(*duty.end_time, proto->mutable_end_time());
}

void BackupsToProto(const std::vector<MemberId>& backups, v1::Backups* proto) {
  for (const MemberId& backup : backups) proto->add_members(backup.Name());
}

}  // namespace

HelpHandler::Locale HelpHandler::LocaleOf(const Call& call, const std::string& country,
                                          const std::string& language, Stores stores) const {
  Locale locale{KnownCountry(in_.crisis, country), language};
  if (!locale.country.empty() && !locale.language.empty()) return locale;
  MemberCache::Member member = in_.members.Find(call.who.member);
  if (member == nullptr && stores == Stores::kMayBeRead) {
    const absl::Time until = std::min(call.deadline, in_.clock.Now() + kLocaleTimeout);
    auto loaded = in_.ledger.LoadMember(until, call.who.member);
    if (loaded.ok() && loaded->has_value()) member = in_.members.Put(**std::move(loaded));
  }
  const PersonTraits* person = member == nullptr ? nullptr : PersonOf(*member);
  if (person == nullptr) return locale;
  if (locale.country.empty()) locale.country = person->place.country;
  if (locale.language.empty() && !person->languages.empty()) {
    locale.language = person->languages.front().Tag();
  }
  return locale;
}

grpc::ServerUnaryReactor* HelpHandler::Reach(grpc::CallbackServerContext* context,
                                             const v1::ReachRequest* request,
                                             v1::ReachResponse* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::ReachRequest& request,
             v1::ReachResponse* response) -> absl::Status {
        ASSIGN_OR_RETURN(const Reached reached, in_.desk.Reach(call));
        const auto stores =
            reached.outcome == ReachOutcome::kUnavailable ? Stores::kAreDown : Stores::kMayBeRead;
        const Locale locale = LocaleOf(call, request.country(), request.language(), stores);
        response->set_outcome(static_cast<v1::ReachOutcome>(reached.outcome));
        response->set_text(Text(TextFor(reached.outcome), locale.language));
        FillCrisisHelp(in_.crisis, locale.country, locale.language, response->mutable_crisis());
        if (reached.call.has_value()) {
          CallToProto(*reached.call, locale.language, response->mutable_help_call());
          *response->mutable_help_call()->mutable_crisis() = response->crisis();
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* HelpHandler::ListCrisisLines(grpc::CallbackServerContext* context,
                                                       const v1::ListCrisisLinesRequest* request,
                                                       v1::ListCrisisLinesResponse* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call&, const v1::ListCrisisLinesRequest& request,
                               v1::ListCrisisLinesResponse* response) -> absl::Status {
                          FillCrisisHelp(in_.crisis, request.country(), request.language(),
                                         response->mutable_crisis());
                          return absl::OkStatus();
                        });
}

grpc::ServerUnaryReactor* HelpHandler::GetHelpCall(grpc::CallbackServerContext* context,
                                                   const v1::GetHelpCallRequest* request,
                                                   v1::HelpCall* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::GetHelpCallRequest& request,
             v1::HelpCall* response) -> absl::Status {
        ASSIGN_OR_RETURN(const HelpCallId id, HelpCallId::FromName(request.name()));
        ASSIGN_OR_RETURN(const HelpCall found, in_.store.GetCall(call, id));
        const Locale locale =
            LocaleOf(call, request.country(), request.language(), Stores::kMayBeRead);
        CallToProto(found, locale.language, response);
        FillCrisisHelp(in_.crisis, locale.country, locale.language, response->mutable_crisis());
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* HelpHandler::CancelHelpCall(grpc::CallbackServerContext* context,
                                                      const v1::CancelHelpCallRequest* request,
                                                      v1::HelpCall* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::CancelHelpCallRequest& request,
             v1::HelpCall* response) -> absl::Status {
        ASSIGN_OR_RETURN(const HelpCallId id, HelpCallId::FromName(request.name()));
        ASSIGN_OR_RETURN(const Changed<HelpCall> changed,
                         in_.store.Cancel(call, in_.clock.Now(), id));
        in_.sink(changed.effects);
        const Locale locale =
            LocaleOf(call, request.country(), request.language(), Stores::kMayBeRead);
        CallToProto(changed.value, locale.language, response);
        FillCrisisHelp(in_.crisis, locale.country, locale.language, response->mutable_crisis());
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* HelpHandler::ListHelpCalls(grpc::CallbackServerContext* context,
                                                     const v1::ListHelpCallsRequest* request,
                                                     v1::ListHelpCallsResponse* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::ListHelpCallsRequest& request,
             v1::ListHelpCallsResponse* response) -> absl::Status {
        const char* filter = request.include_closed() ? "all" : "open";
        ASSIGN_OR_RETURN(const auto page,
                         in_.pages.Read(call, filter, request.page_size(), request.page_token()));
        ASSIGN_OR_RETURN(
            const Page<HelpAsk> asks,
            in_.store.ListAsks(call, request.include_closed(), page.limit, page.after));
        const Locale locale = LocaleOf(call, "", request.language(), Stores::kMayBeRead);
        for (const HelpAsk& ask : asks.items) {
          AskToProto(ask, locale.language, response->add_help_calls());
        }
        response->set_next_page_token(in_.pages.Write(call, filter, asks));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* HelpHandler::AnswerHelpCall(grpc::CallbackServerContext* context,
                                                      const v1::AnswerHelpCallRequest* request,
                                                      v1::HelpAsk* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::AnswerHelpCallRequest& request,
             v1::HelpAsk* response) -> absl::Status {
        ASSIGN_OR_RETURN(const HelpCallId id, HelpCallId::FromName(request.name()));
        ASSIGN_OR_RETURN(const Changed<HelpAsk> changed,
                         in_.store.Answer(call, in_.clock.Now(), id));
        in_.sink(changed.effects);
        const Locale locale = LocaleOf(call, "", request.language(), Stores::kMayBeRead);
        AskToProto(changed.value, locale.language, response);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* HelpHandler::PassHelpCall(grpc::CallbackServerContext* context,
                                                    const v1::PassHelpCallRequest* request,
                                                    v1::HelpAsk* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::PassHelpCallRequest& request,
             v1::HelpAsk* response) -> absl::Status {
        ASSIGN_OR_RETURN(const HelpCallId id, HelpCallId::FromName(request.name()));
        const auto again = request.not_again() ? HelpStore::Again::kNo : HelpStore::Again::kYes;
        ASSIGN_OR_RETURN(const Changed<HelpAsk> changed,
                         in_.store.Pass(call, in_.clock.Now(), id, again));
        in_.sink(changed.effects);
        const Locale locale = LocaleOf(call, "", request.language(), Stores::kMayBeRead);
        AskToProto(changed.value, locale.language, response);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* HelpHandler::GetOnCall(grpc::CallbackServerContext* context,
                                                 const v1::GetOnCallRequest* request,
                                                 v1::OnCall* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::GetOnCallRequest&, v1::OnCall* response) -> absl::Status {
        ASSIGN_OR_RETURN(const OnCall duty, in_.store.GetOnCall(call, in_.clock.Now()));
        OnCallToProto(duty, response);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* HelpHandler::SetOnCall(grpc::CallbackServerContext* context,
                                                 const v1::SetOnCallRequest* request,
                                                 v1::OnCall* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::SetOnCallRequest& request,
                               v1::OnCall* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const OnCall duty,
                                           in_.desk.SetOnCall(call, absl::Hours(request.hours())));
                          OnCallToProto(duty, response);
                          return absl::OkStatus();
                        });
}

grpc::ServerUnaryReactor* HelpHandler::GetBackups(grpc::CallbackServerContext* context,
                                                  const v1::GetBackupsRequest* request,
                                                  v1::Backups* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::GetBackupsRequest&,
                               v1::Backups* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const std::vector<MemberId> backups,
                                           in_.store.GetBackups(call));
                          BackupsToProto(backups, response);
                          return absl::OkStatus();
                        });
}

grpc::ServerUnaryReactor* HelpHandler::SetBackups(grpc::CallbackServerContext* context,
                                                  const v1::SetBackupsRequest* request,
                                                  v1::Backups* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::SetBackupsRequest& request,
                               v1::Backups* response) -> absl::Status {
                          std::vector<MemberId> backups;
                          for (const std::string& name : request.members()) {
                            ASSIGN_OR_RETURN(const MemberId id, MemberId::FromName(name));
                            if (std::find(backups.begin(), backups.end(), id) != backups.end()) {
                              return FieldError("members", "names somebody twice");
                            }
                            backups.push_back(id);
                          }
                          ASSIGN_OR_RETURN(const std::vector<MemberId> named,
                                           in_.store.SetBackups(call, in_.clock.Now(), backups));
                          BackupsToProto(named, response);
                          return absl::OkStatus();
                        });
}

grpc::ServerWriteReactor<v1::WatchHelpCallResponse>* HelpHandler::WatchHelpCall(
    grpc::CallbackServerContext* context, const v1::WatchHelpCallRequest* request) {
  using Response = v1::WatchHelpCallResponse;
  auto admitted = in_.edge.AdmitStream(context, *request);
  if (!admitted.ok()) return rpc::RefuseStream<Response>(admitted.status());
  const auto id = HelpCallId::FromName(request->name());
  if (!id.ok()) return rpc::RefuseStream<Response>(id.status());

  const std::string topic = HelpTopicOf(*id);
  auto end = std::make_shared<WatchEnd>(in_.hub);
  auto stream = rpc::StreamWriter<Response>::Open(
      in_.streams, context, OptionsFor<Response>(std::move(admitted->slot), in_.hub, topic, end));
  auto sent = std::make_shared<int64_t>(0);
  const auto refresh = [this, stream, sent, id = *id, call = admitted->call,
                        country = request->country(), language = request->language()]() -> bool {
    if (stream->IsClosed()) return false;
    if (in_.revocations.IsRevoked(call.who.device)) {
      stream->Close(RevokedError());
      return false;
    }
    Call read = call;
    read.deadline = in_.clock.Now() + kWatchReadTimeout;
    const auto found = in_.store.GetCall(read, id);
    if (!found.ok()) {
      if (IsTransient(found.status())) return true;
      stream->Close(found.status());
      return false;
    }
    // The conversation follows an answer within seconds, and is the last word.
    const bool last = found->state != HelpState::kOpen &&
                      (found->state != HelpState::kAnswered || found->conversation.has_value());
    if (found->version > *sent) {
      const Locale locale = LocaleOf(read, country, language, Stores::kMayBeRead);
      Response response;
      CallToProto(*found, locale.language, response.mutable_help_call());
      FillCrisisHelp(in_.crisis, locale.country, locale.language,
                     response.mutable_help_call()->mutable_crisis());
      if (!stream->TryWrite(std::move(response))) return !stream->IsClosed();
      *sent = found->version;
    }
    if (last) stream->Close();
    return !last;
  };
  end->Set(in_.hub.Start(topic, refresh));
  return stream->reactor();
}

grpc::ServerWriteReactor<v1::WatchHelpCallsResponse>* HelpHandler::WatchHelpCalls(
    grpc::CallbackServerContext* context, const v1::WatchHelpCallsRequest* request) {
  using Response = v1::WatchHelpCallsResponse;
  auto admitted = in_.edge.AdmitStream(context, *request);
  if (!admitted.ok()) return rpc::RefuseStream<Response>(admitted.status());
  const std::string topic = HelpTopicOf(admitted->call.who.member);
  auto end = std::make_shared<WatchEnd>(in_.hub);
  auto stream = rpc::StreamWriter<Response>::Open(
      in_.streams, context, OptionsFor<Response>(std::move(admitted->slot), in_.hub, topic, end));
  auto told = std::make_shared<std::map<HelpCallId, v1::HelpAsk>>();
  auto first = std::make_shared<bool>(true);
  const auto refresh = [this, stream, told, first, call = admitted->call,
                        language = request->language()]() -> bool {
    if (stream->IsClosed()) return false;
    if (in_.revocations.IsRevoked(call.who.device)) {
      stream->Close(RevokedError());
      return false;
    }
    Call read = call;
    read.deadline = in_.clock.Now() + kWatchReadTimeout;
    const auto asks = in_.store.ListAsks(read, /*include_closed=*/true, kWatchedCalls, {});
    if (!asks.ok()) {
      if (IsTransient(asks.status())) return true;
      stream->Close(asks.status());
      return false;
    }
    const Locale locale = LocaleOf(read, "", language, Stores::kMayBeRead);
    std::map<HelpCallId, v1::HelpAsk> now;
    for (const HelpAsk& ask : asks->items) {
      v1::HelpAsk& seen = now[ask.call];
      AskToProto(ask, locale.language, &seen);
      const auto known = told->find(ask.call);
      const bool is_old = *first && ask.state != HelpAskState::kOpen;  // before this watch began
      if (is_old ||
          (known != told->end() && known->second.SerializeAsString() == seen.SerializeAsString())) {
        continue;
      }
      Response response;
      *response.mutable_help_call() = seen;
      if (!stream->TryWrite(std::move(response))) return !stream->IsClosed();
      (*told)[ask.call] = seen;
    }
    for (const auto& [id, last] : *told) {
      if (now.contains(id) || asks->more) continue;
      // No longer theirs to see, which must look like any other end.
      if (last.state() == v1::HELP_ASK_STATE_OVER) continue;
      Response response;
      *response.mutable_help_call() = last;
      EndToProto(locale.language, response.mutable_help_call());
      if (!stream->TryWrite(std::move(response))) return !stream->IsClosed();
    }
    *told = std::move(now);
    *first = false;
    return true;
  };
  end->Set(in_.hub.Start(topic, refresh));
  return stream->reactor();
}

}  // namespace handrail::matching

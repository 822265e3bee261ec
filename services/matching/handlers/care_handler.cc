#include "services/matching/handlers/care_handler.h"

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "services/matching/handlers/care_proto.h"
#include "services/matching/handlers/ticket_proto.h"
#include "services/matching/handlers/watch_stream.h"

namespace handrail::matching {
namespace {

constexpr int kUnreadLimit = 1000;  // more than a member can have

}  // namespace

grpc::ServerUnaryReactor* CareHandler::ListNotices(grpc::CallbackServerContext* context,
                                                   const v1::ListNoticesRequest* request,
                                                   v1::ListNoticesResponse* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::ListNoticesRequest& request,
             v1::ListNoticesResponse* response) -> absl::Status {
        const char* filter = request.include_read() ? "all" : "unread";
        ASSIGN_OR_RETURN(const auto page,
                         in_.pages.Read(call, filter, request.page_size(), request.page_token()));
        ASSIGN_OR_RETURN(const Page<Notice> notices,
                         care_.ListNotices(call, in_.clock.Now(), request.include_read(),
                                           page.limit, page.after));
        for (const Notice& notice : notices.items) NoticeToProto(notice, response->add_notices());
        response->set_next_page_token(in_.pages.Write(call, filter, notices));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* CareHandler::MarkNoticeRead(grpc::CallbackServerContext* context,
                                                      const v1::MarkNoticeReadRequest* request,
                                                      v1::Notice* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::MarkNoticeReadRequest& request,
                               v1::Notice* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const NoticeId id, NoticeId::FromName(request.name()));
                          ASSIGN_OR_RETURN(const Changed<Notice> read,
                                           care_.MarkNoticeRead(call, in_.clock.Now(), id));
                          in_.sink(read.effects);
                          NoticeToProto(read.value, response);
                          return absl::OkStatus();
                        });
}

grpc::ServerUnaryReactor* CareHandler::ListCheckIns(grpc::CallbackServerContext* context,
                                                    const v1::ListCheckInsRequest* request,
                                                    v1::ListCheckInsResponse* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::ListCheckInsRequest& request,
             v1::ListCheckInsResponse* response) -> absl::Status {
        ASSIGN_OR_RETURN(const PairingId pairing, PairingId::FromName(request.pairing()));
        ASSIGN_OR_RETURN(const std::vector<CheckIn> check_ins, care_.ListCheckIns(call, pairing));
        for (const CheckIn& check_in : check_ins) {
          CheckInToProto(check_in, response->add_check_ins());
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* CareHandler::AnswerCheckIn(grpc::CallbackServerContext* context,
                                                     const v1::AnswerCheckInRequest* request,
                                                     v1::CheckIn* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::AnswerCheckInRequest& request,
             v1::CheckIn* response) -> absl::Status {
        ASSIGN_OR_RETURN(const PairingId pairing, PairingId::FromName(request.pairing()));
        ASSIGN_OR_RETURN(const auto answered,
                         care_.AnswerCheckIn(call, in_.clock.Now(), pairing, request.day(),
                                             static_cast<CheckInAnswer>(request.answer())));
        in_.sink(answered.effects);
        AnsweredCheckInToProto(answered.value, response);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* CareHandler::RequestRematch(grpc::CallbackServerContext* context,
                                                      const v1::RequestRematchRequest* request,
                                                      v1::Ticket* response) {
  return in_.edge.Unary(
      context, request, response,
      [this](const Call& call, const v1::RequestRematchRequest& request,
             v1::Ticket* response) -> absl::Status {
        ASSIGN_OR_RETURN(const PairingId pairing, PairingId::FromName(request.pairing()));
        ASSIGN_OR_RETURN(const Changed<Ticket> opened, desk_.RequestRematch(call, pairing));
        in_.sink(opened.effects);
        TicketToProto(opened.value, 0, response);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* CareHandler::GetQueueStatus(grpc::CallbackServerContext* context,
                                                      const v1::GetQueueStatusRequest* request,
                                                      v1::QueueStatus* response) {
  return in_.edge.Unary(context, request, response,
                        [this](const Call& call, const v1::GetQueueStatusRequest& request,
                               v1::QueueStatus* response) -> absl::Status {
                          ASSIGN_OR_RETURN(const TicketId id, TicketId::FromName(request.name()));
                          ASSIGN_OR_RETURN(const QueueStatus status,
                                           desk_.GetQueueStatus(call, id));
                          QueueStatusToProto(id, status, response);
                          return absl::OkStatus();
                        });
}

grpc::ServerWriteReactor<v1::WatchNoticesResponse>* CareHandler::WatchNotices(
    grpc::CallbackServerContext* context, const v1::WatchNoticesRequest* request) {
  using Response = v1::WatchNoticesResponse;
  auto admitted = in_.edge.AdmitStream(context, *request);
  if (!admitted.ok()) return rpc::RefuseStream<Response>(admitted.status());
  const std::string topic = WatchHub::TopicOf(admitted->call.who.member);
  auto end = std::make_shared<WatchEnd>(in_.hub);
  auto stream = rpc::StreamWriter<Response>::Open(
      in_.streams, context, OptionsFor<Response>(std::move(admitted->slot), in_.hub, topic, end));
  auto told = std::make_shared<std::set<NoticeId>>();
  const auto refresh = [this, stream, told, call = admitted->call]() -> bool {
    if (stream->IsClosed()) return false;
    if (in_.revocations.IsRevoked(call.who.device)) {
      stream->Close(RevokedError());
      return false;
    }
    Call read = call;
    const absl::Time now = in_.clock.Now();
    read.deadline = now + kWatchReadTimeout;
    const auto unread = care_.ListNotices(read, now, false, kUnreadLimit, std::nullopt);
    if (!unread.ok()) {
      if (IsTransient(unread.status())) return true;
      stream->Close(unread.status());
      return false;
    }
    std::set<NoticeId> still;  // what was told and is of use no more is forgotten
    for (const Notice& notice : unread->items) {
      if (told->count(notice.id) != 0) still.insert(notice.id);
    }
    *told = std::move(still);
    for (auto notice = unread->items.rbegin(); notice != unread->items.rend(); ++notice) {
      if (told->count(notice->id) != 0) continue;
      Response response;
      NoticeToProto(*notice, response.mutable_notice());
      if (!stream->TryWrite(std::move(response))) return !stream->IsClosed();
      told->insert(notice->id);
    }
    return true;
  };
  end->Set(in_.hub.Start(topic, refresh));
  return stream->reactor();
}

}  // namespace handrail::matching

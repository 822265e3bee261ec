#ifndef HANDRAIL_SERVICES_MESSAGING_HANDLERS_GROUP_HANDLER_H_
#define HANDRAIL_SERVICES_MESSAGING_HANDLERS_GROUP_HANDLER_H_

#include "common/rpc/edge.h"
#include "handrail/messaging/v1/group.grpc.pb.h"
#include "services/messaging/domain/groups.h"
#include "services/messaging/domain/meter.h"

namespace handrail::messaging {

// GroupService on the public listener.
class GroupHandler final : public v1::GroupService::CallbackService {
 public:
  // All must outlive the handler.
  GroupHandler(Groups& groups, rpc::Edge& edge, Meter& meter)
      : groups_(groups), edge_(edge), meter_(meter) {}

  grpc::ServerUnaryReactor* CommitBundle(grpc::CallbackServerContext* context,
                                         const v1::CommitBundleRequest* request,
                                         v1::CommitBundleResponse* response) override;
  grpc::ServerUnaryReactor* GetGroup(grpc::CallbackServerContext* context,
                                     const v1::GetGroupRequest* request,
                                     v1::Group* response) override;
  grpc::ServerUnaryReactor* FetchWelcomes(grpc::CallbackServerContext* context,
                                          const v1::FetchWelcomesRequest* request,
                                          v1::FetchWelcomesResponse* response) override;
  grpc::ServerUnaryReactor* AckWelcome(grpc::CallbackServerContext* context,
                                       const v1::AckWelcomeRequest* request,
                                       v1::AckWelcomeResponse* response) override;
  grpc::ServerUnaryReactor* ResetConversation(grpc::CallbackServerContext* context,
                                              const v1::ResetConversationRequest* request,
                                              v1::ResetConversationResponse* response) override;
  grpc::ServerUnaryReactor* ReportInvalidCommit(grpc::CallbackServerContext* context,
                                                const v1::ReportInvalidCommitRequest* request,
                                                v1::ReportInvalidCommitResponse* response) override;

 private:
  Groups& groups_;
  rpc::Edge& edge_;
  Meter& meter_;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_HANDLERS_GROUP_HANDLER_H_

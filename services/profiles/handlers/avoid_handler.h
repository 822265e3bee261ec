#ifndef HANDRAIL_SERVICES_PROFILES_HANDLERS_AVOID_HANDLER_H_
#define HANDRAIL_SERVICES_PROFILES_HANDLERS_AVOID_HANDLER_H_

#include "common/rpc/edge.h"
#include "handrail/profiles/v1/avoid.grpc.pb.h"
#include "services/profiles/domain/avoid_list.h"
#include "services/profiles/handlers/page_tokens.h"

namespace handrail::profiles {

// As the handlers of handlers.h. References outlive it. Thread-safe.
class AvoidHandler final : public v1::AvoidService::CallbackService {
 public:
  AvoidHandler(rpc::Edge& edge, AvoidList& list, const PageTokens& pages)
      : edge_(edge), list_(list), pages_(pages) {}

  grpc::ServerUnaryReactor* AvoidMember(grpc::CallbackServerContext* context,
                                        const v1::AvoidMemberRequest* request,
                                        v1::AvoidedMember* response) override;
  grpc::ServerUnaryReactor* StopAvoidingMember(grpc::CallbackServerContext* context,
                                               const v1::StopAvoidingMemberRequest* request,
                                               v1::StopAvoidingMemberResponse* response) override;
  grpc::ServerUnaryReactor* ListAvoidedMembers(grpc::CallbackServerContext* context,
                                               const v1::ListAvoidedMembersRequest* request,
                                               v1::ListAvoidedMembersResponse* response) override;

 private:
  rpc::Edge& edge_;
  AvoidList& list_;
  const PageTokens& pages_;
};

}  // namespace handrail::profiles

#endif  // HANDRAIL_SERVICES_PROFILES_HANDLERS_AVOID_HANDLER_H_

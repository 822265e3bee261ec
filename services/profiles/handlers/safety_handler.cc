#include "common/base/macros.h"
#include "services/profiles/adapters/snapshot_proto.h"
#include "services/profiles/handlers/handlers.h"

namespace handrail::profiles {
namespace {

void FillMemberBlock(const Block& block, v1::MemberBlock* out) {
  out->set_name(block.id.Name());
  out->set_blocked(block.blocked.Name());
  *out->mutable_create_time() = ToTimestamp(block.create_time);
}

}  // namespace

SafetyHandler::SafetyHandler(rpc::Edge& edge, Safety& safety, const PageTokens& pages)
    : edge_(edge), safety_(safety), pages_(pages) {}

grpc::ServerUnaryReactor* SafetyHandler::BlockMember(grpc::CallbackServerContext* context,
                                                     const v1::BlockMemberRequest* request,
                                                     v1::BlockMemberResponse* response) {
  return edge_.Unary(
      context, request, response,
      [this](const Call& call, const v1::BlockMemberRequest& request,
             v1::BlockMemberResponse* response) -> absl::Status {
        ASSIGN_OR_RETURN(const MemberId blocked, MemberId::FromName(request.member()));
        ASSIGN_OR_RETURN(const BlockResult result, safety_.BlockMember(call, blocked));
        FillMemberBlock(result.block, response->mutable_block());
        response->set_pending(result.pending);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* SafetyHandler::ListBlocks(grpc::CallbackServerContext* context,
                                                    const v1::ListBlocksRequest* request,
                                                    v1::ListBlocksResponse* response) {
  return edge_.Unary(context, request, response,
                     [this](const Call& call, const v1::ListBlocksRequest& request,
                            v1::ListBlocksResponse* response) -> absl::Status {
                       ASSIGN_OR_RETURN(
                           const PageRequest page,
                           pages_.Read(call, "", request.page_size(), request.page_token()));
                       ASSIGN_OR_RETURN(const Page<Block> blocks, safety_.ListBlocks(call, page));
                       for (const Block& block : blocks.items)
                         FillMemberBlock(block, response->add_blocks());
                       response->set_next_page_token(pages_.Write(call, "", blocks.next));
                       return absl::OkStatus();
                     });
}

}  // namespace handrail::profiles

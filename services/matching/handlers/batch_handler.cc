#include "services/matching/handlers/batch_handler.h"

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/matching/handlers/operator_proto.h"

namespace handrail::matching {
namespace {

// A mean of fewer would tell of single people.
constexpr size_t kFewestToTellOf = 5;

void TimeToProto(absl::Time time, google::protobuf::Timestamp* proto) {
  const int64_t micros = absl::ToUnixMicros(time);
  proto->set_seconds(micros / 1'000'000);
  proto->set_nanos(static_cast<int32_t>(micros % 1'000'000) * 1000);
}

void DurationToProto(absl::Duration duration, google::protobuf::Duration* proto) {
  const int64_t micros = absl::ToInt64Microseconds(duration);
  proto->set_seconds(micros / 1'000'000);
  proto->set_nanos(static_cast<int32_t>(micros % 1'000'000) * 1000);
}

void WaitsToProto(const BatchPlan::Waits& waits, v1::BatchWaits* proto) {
  DurationToProto(waits.p50, proto->mutable_p50());
  DurationToProto(waits.p90, proto->mutable_p90());
  DurationToProto(waits.p99, proto->mutable_p99());
}

void PlanToProto(const BatchReport& report, v1::BatchPlan* proto) {
  const BatchPlan& plan = report.plan;
  proto->set_plan(report.name);
  TimeToProto(report.create_time, proto->mutable_create_time());
  TimeToProto(report.expire_time, proto->mutable_expire_time());
  proto->set_looked_at(report.looked_at);
  proto->set_complete(report.complete);
  CountToProto(RoundCount(static_cast<int64_t>(plan.tickets)), proto->mutable_tickets());
  CountToProto(RoundCount(static_cast<int64_t>(plan.sponsors)), proto->mutable_sponsors());
  CountToProto(RoundCount(static_cast<int64_t>(plan.seats)), proto->mutable_seats());
  // A sponsor's name stays here: whom a ticket is put before is between the two.
  absl::flat_hash_map<MemberId, int32_t> numbers;
  for (const PlannedPair& pair : plan.pairs) {
    const int32_t next = static_cast<int32_t>(numbers.size()) + 1;
    v1::BatchPair* out = proto->add_pairs();
    out->set_ticket(pair.ticket.Name());
    out->set_sponsor_number(numbers.try_emplace(pair.sponsor, next).first->second);
  }
  CountToProto(RoundCount(static_cast<int64_t>(plan.tickets - plan.pairs.size())),
               proto->mutable_unmatched());
  proto->set_blocking_pairs(static_cast<int32_t>(plan.blocking_pairs));
  if (plan.pairs.size() >= kFewestToTellOf) proto->set_mean_score(plan.mean_score);
  WaitsToProto(plan.paired_waits, proto->mutable_matched_waits());
  WaitsToProto(plan.left_waits, proto->mutable_unmatched_waits());
  proto->set_drained(report.drained);
}

}  // namespace

grpc::ServerUnaryReactor* BatchHandler::PlanBatch(grpc::CallbackServerContext* context,
                                                  const v1::PlanBatchRequest* request,
                                                  v1::BatchPlan* response) {
  return edge_.Unary(
      context, request, response,
      [this](const Call& call, const v1::PlanBatchRequest& request, v1::BatchPlan* response) {
        return desk_.Read(call, request.pool(), [&]() -> absl::StatusOr<std::string> {
          ASSIGN_OR_RETURN(const PoolId id, PoolId::FromName(request.pool()));
          ASSIGN_OR_RETURN(const PoolKey pool, operators_.KeyOf(id));
          ASSIGN_OR_RETURN(const BatchReport report,
                           batches_.Plan(call, pool, request.max_tickets()));
          response->set_pool(request.pool());
          PlanToProto(report, response);
          return absl::StrCat(report.plan.pairs.size(), " pairs");
        });
      });
}

grpc::ServerUnaryReactor* BatchHandler::RunBatch(grpc::CallbackServerContext* context,
                                                 const v1::RunBatchRequest* request,
                                                 v1::BatchRun* response) {
  return edge_.Unary(
      context, request, response,
      [this](const Call& call, const v1::RunBatchRequest& request,
             v1::BatchRun* response) -> absl::Status {
        ASSIGN_OR_RETURN(const PoolId id, PoolId::FromName(request.pool()));
        const auto pool = operators_.KeyOf(id);
        RETURN_IF_ERROR(desk_.Written(call, request.pool(), pool.status()));
        const auto run = batches_.Run(call, *pool, request.plan());
        RETURN_IF_ERROR(desk_.Written(call, request.pool(), run.status()));
        response->set_plan(request.plan());
        response->set_pool(request.pool());
        TimeToProto(run->create_time, response->mutable_create_time());
        response->set_pairs(static_cast<int32_t>(run->pair_count));
        response->set_offers(static_cast<int32_t>(run->offer_count));
        response->set_passed_over(static_cast<int32_t>(run->pair_count - run->offer_count));
        return absl::OkStatus();
      });
}

}  // namespace handrail::matching

#ifndef HANDRAIL_TOOLS_BENCHMARK_OFFER_WATCH_H_
#define HANDRAIL_TOOLS_BENCHMARK_OFFER_WATCH_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <utility>

#include "common/base/mutex.h"
#include "handrail/matching/v1/matching.grpc.pb.h"
#include "tools/benchmark/population.h"
#include "tools/benchmark/unary_call.h"

namespace handrail::benchmark {

// A sponsor's WatchOffers stream.
class OfferWatch final : public grpc::ClientReadReactor<matching::v1::WatchOffersResponse> {
 public:
  // `on_offer` runs on a thread of gRPC and must not block.
  OfferWatch(Connections<matching::v1::MatchingService>::AsyncStub* stub, const Member& sponsor,
             std::function<void(const matching::v1::Offer&)> on_offer)
      : on_offer_(std::move(on_offer)) {
    context_.AddMetadata("authorization", sponsor.authorization);
    stub->WatchOffers(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }
  // Closes, and waits until it is over.
  ~OfferWatch() override {
    context_.TryCancel();
    MutexLock lock(mutex_);
    while (!done_) changed_.Wait(mutex_);
  }
  // The stream's error when it has ended.
  absl::Status status() {
    MutexLock lock(mutex_);
    return done_ ? status_ : absl::OkStatus();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    if (response_.has_offer()) on_offer_(response_.offer());
    StartRead(&response_);
  }
  void OnDone(const grpc::Status& status) override {
    MutexLock lock(mutex_);
    status_ =
        status.ok() ? absl::UnavailableError("the stream ended") : ToAbsl(status, "WatchOffers");
    done_ = true;
    changed_.SignalAll();
  }

 private:
  const std::function<void(const matching::v1::Offer&)> on_offer_;
  grpc::ClientContext context_;
  matching::v1::WatchOffersRequest request_;
  matching::v1::WatchOffersResponse response_;
  Mutex mutex_;
  CondVar changed_;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace handrail::benchmark

#endif  // HANDRAIL_TOOLS_BENCHMARK_OFFER_WATCH_H_

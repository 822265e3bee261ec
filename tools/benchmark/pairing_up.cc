#include "tools/benchmark/pairing_up.h"

#include "common/base/status.h"
#include "handrail/matching/v1/matching.grpc.pb.h"
#include "tools/benchmark/load.h"

namespace handrail::benchmark {
namespace {

using matching::v1::MatchingService;

constexpr int64_t kPatience = 60'000'000'000;  // nanoseconds
constexpr int64_t kPoll = 20'000'000;
constexpr int kPage = 10;

}  // namespace

absl::StatusOr<std::vector<Paired>> AcceptOffers(tools::Person& sponsor) {
  MatchingService::Stub& stub = sponsor.services().matching();
  matching::v1::ListOffersRequest list;
  list.set_page_size(kPage);
  ASSIGN_OR_RETURN(const matching::v1::ListOffersResponse offers,
                   sponsor.Call(stub, &MatchingService::Stub::ListOffers, list));
  std::vector<Paired> paired;
  for (const auto& offer : offers.offers()) {
    if (offer.state() != matching::v1::OFFER_STATE_OPEN) continue;
    matching::v1::AcceptOfferRequest accept;
    accept.set_name(offer.name());
    accept.set_request_id(sponsor.NewRequestId());
    ASSIGN_OR_RETURN(matching::v1::Pairing pairing,
                     sponsor.Call(stub, &MatchingService::Stub::AcceptOffer, accept));
    matching::v1::GetPairingRequest get;
    get.set_name(pairing.name());
    const int64_t give_up = SteadyNanoseconds() + kPatience;
    while (pairing.conversation().empty()) {
      if (SteadyNanoseconds() > give_up) return absl::DeadlineExceededError("no conversation");
      SleepUntil(SteadyNanoseconds() + kPoll);
      ASSIGN_OR_RETURN(pairing, sponsor.Call(stub, &MatchingService::Stub::GetPairing, get));
    }
    paired.push_back({pairing.newcomer(), pairing.conversation()});
  }
  return paired;
}

absl::StatusOr<Paired> AcceptNext(tools::Person& sponsor) {
  const int64_t give_up = SteadyNanoseconds() + kPatience;
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<Paired> paired, AcceptOffers(sponsor));
    if (!paired.empty()) return paired.front();
    if (SteadyNanoseconds() > give_up) return absl::DeadlineExceededError("no offer came");
    SleepUntil(SteadyNanoseconds() + kPoll);
  }
}

}  // namespace handrail::benchmark

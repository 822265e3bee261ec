#ifndef HANDRAIL_SERVICES_MATCHING_ADAPTERS_SEALED_HANDLES_H_
#define HANDRAIL_SERVICES_MATCHING_ADAPTERS_SEALED_HANDLES_H_

#include <optional>
#include <string>

#include "common/base/random.h"
#include "common/crypto/sealed_token.h"
#include "common/crypto/vault.h"
#include "services/matching/domain/candidate_desk.h"

namespace handrail::matching {

// Handles of candidates, enciphered under a key derived from the ring's index key and bound to the
// member they are made for. Thread-safe. `random` must outlive it and be fit for keys.
class SealedHandles final : public CandidateHandles {
 public:
  SealedHandles(const crypto::KeyRing& ring, Random& random);

  std::string Make(const MemberId& caller, const Handle& handle) const override;
  std::optional<Handle> Read(const MemberId& caller, absl::string_view text) const override;

 private:
  const crypto::SealedTokenCodec codec_;
  Random& random_;
};

// 16 bytes that stand for a person on a day, under a key derived from the ring's index key, which
// must outlive the function. For SqlChoiceLedger.
std::function<std::string(int64_t day, const MemberId& sponsor)> MakeSeenHash(
    const crypto::KeyRing& ring);

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_ADAPTERS_SEALED_HANDLES_H_

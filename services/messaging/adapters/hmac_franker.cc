#include "services/messaging/adapters/hmac_franker.h"

#include "common/crypto/hash.h"

namespace handrail::messaging {

Franking HmacFranker::Stamp(const StampedMessage& message) const {
  const crypto::DerivedKey& newest = keys_.back();
  return {crypto::HmacSha256(newest.key.Reveal(), StampInput(message)), message.previous_commitment,
          newest.id};
}

bool HmacFranker::IsStampOf(const StampedMessage& message, absl::string_view key_id,
                            absl::string_view stamp) const {
  // The widths are part of what makes the input unambiguous.
  if (message.commitment.size() != kCommitmentBytes ||
      message.previous_commitment.size() != kCommitmentBytes) {
    return false;
  }
  for (const crypto::DerivedKey& key : keys_) {
    if (key.id != key_id) continue;
    return crypto::ConstantTimeEquals(crypto::HmacSha256(key.key.Reveal(), StampInput(message)),
                                      stamp);
  }
  return false;
}

bool HmacFranker::Opens(absl::string_view commitment, absl::string_view franking_key,
                        absl::string_view content) const {
  return franking_key.size() == kFrankingKeyBytes &&
         crypto::ConstantTimeEquals(crypto::HmacSha256(franking_key, content), commitment);
}

}  // namespace handrail::messaging

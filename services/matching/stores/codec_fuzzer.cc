// Stored values of the matching ledger. The first byte says which kind the rest is read as. What
// can be read at all is written as bytes that are then read and written without change.

#include <string>
#include <utility>

#include "common/testing/fuzzing.h"
#include "services/matching/stores/codec.h"

namespace handrail::matching {
namespace {

absl::StatusOr<std::string> Again(int kind, absl::string_view bytes) {
  switch (kind) {
    case 0: {
      MemberTraits member;
      if (absl::Status status = DecodeTraits(bytes, member); !status.ok()) return status;
      return EncodeTraits(member);
    }
    case 1: {
      const auto explanation = DecodeExplanation(bytes);
      if (!explanation.ok()) return explanation.status();
      return EncodeExplanation(*explanation);
    }
    case 2: {
      const auto answer = DecodeTicketAnswer(bytes);
      if (!answer.ok()) return answer.status();
      return EncodeTicketAnswer(answer->ticket, answer->pool);
    }
    case 3: {
      const auto answer = DecodePairingAnswer(bytes);
      if (!answer.ok()) return answer.status();
      return EncodePairingAnswer(answer->pairing, answer->pool);
    }
    case 4: {
      const auto offer = DecodeOfferAnswer(bytes);
      if (!offer.ok()) return offer.status();
      return EncodeOfferAnswer(*offer);
    }
    default: {
      const auto availability = DecodeAvailability(bytes);
      if (!availability.ok()) return availability.status();
      return EncodeAvailability(*availability);
    }
  }
}

}  // namespace
}  // namespace handrail::matching

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace handrail;
  if (size == 0) return 0;
  const int kind = data[0] % 6;
  const auto once = matching::Again(kind, testing::FuzzText(data + 1, size - 1));
  if (!once.ok()) {
    FUZZ_CHECK(once.status().code() == absl::StatusCode::kDataLoss);
    return 0;
  }
  const auto twice = matching::Again(kind, *once);
  FUZZ_CHECK(twice.ok() && *twice == *once);
  return 0;
}

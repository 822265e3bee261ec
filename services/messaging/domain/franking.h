#ifndef HANDRAIL_SERVICES_MESSAGING_DOMAIN_FRANKING_H_
#define HANDRAIL_SERVICES_MESSAGING_DOMAIN_FRANKING_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "services/messaging/domain/messages.h"

// Message franking (C7): who receives a message can prove later what was said, by whom, where, when
// and after what, although the server reads nothing. The sender commits to the content in the
// message's authenticated data: HMAC-SHA256 of the content under a franking key, made for this
// message alone, that travels inside the encrypted content. The server stamps the commitment
// together with what it knows itself. Who reports a message shows content, franking key and stamp
// (Grubbs, Lu, Ristenpart, "Message Franking via Committing Authenticated Encryption", 2017). To
// anybody but the server a stamp proves nothing.
namespace handrail::messaging {

inline constexpr uint8_t kFrankingVersion = 1;
inline constexpr size_t kCommitmentBytes = 32;
// Of this length alone: HMAC pads a shorter key, so that two keys could be one.
inline constexpr size_t kFrankingKeyBytes = 32;

// The commitment in a message's authenticated data, when that is the version byte and the
// commitment, and nothing else; empty otherwise. Points into it.
absl::string_view CommitmentIn(absl::string_view authenticated_data);

// The previous commitment of a conversation's first message that has one.
std::string NoCommitment();

// All that a stamp is over.
struct StampedMessage {
  std::string commitment;  // 32 bytes
  MemberId sender;
  DeviceId sender_device;
  ConversationId conversation;
  int64_t sequence = 0;
  absl::Time create_time;           // whole microseconds
  std::string previous_commitment;  // 32 bytes: of the stamped message before, in its conversation
};

// One message as its reader shows it.
struct ReportedMessage {
  StampedMessage stamped;
  std::string content;
  std::string franking_key;
  std::string stamp;
  std::string key_id;
};

// The bytes that are stamped: a label, then every field in its order and in a fixed width, so that
// no two messages give the same.
std::string StampInput(const StampedMessage& message);

// The cryptography of franking, so that the domain holds no key. Thread-safe.
class Franker {
 public:
  virtual ~Franker() = default;

  // With the newest key.
  virtual Franking Stamp(const StampedMessage& message) const = 0;
  // With whichever key is named. False for a key that is not there.
  virtual bool IsStampOf(const StampedMessage& message, absl::string_view key_id,
                         absl::string_view stamp) const = 0;
  // True when this content under this franking key is what was committed to. False for a key that
  // does not have kFrankingKeyBytes.
  virtual bool Opens(absl::string_view commitment, absl::string_view franking_key,
                     absl::string_view content) const = 0;
};

}  // namespace handrail::messaging

#endif  // HANDRAIL_SERVICES_MESSAGING_DOMAIN_FRANKING_H_

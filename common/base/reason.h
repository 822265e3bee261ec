#ifndef HANDRAIL_COMMON_BASE_REASON_H_
#define HANDRAIL_COMMON_BASE_REASON_H_

#include "absl/strings/string_view.h"

// Every reason that an error of Handrail can carry (`google.rpc.ErrorInfo.reason`). One constant
// stands for one thing that a client can do about it; two errors that call for the same action
// share a constant. docs/errors.md lists them for people; a test holds the two lists together.
namespace handrail::reason {

// Who calls.
inline constexpr absl::string_view kTokenMissing = "TOKEN_MISSING";
inline constexpr absl::string_view kTokenInvalid = "TOKEN_INVALID";
inline constexpr absl::string_view kTokenExpired = "TOKEN_EXPIRED";
inline constexpr absl::string_view kTokenRevoked = "TOKEN_REVOKED";
inline constexpr absl::string_view kRoleRequired = "ROLE_REQUIRED";
inline constexpr absl::string_view kSponsorProfileRequired = "SPONSOR_PROFILE_REQUIRED";
inline constexpr absl::string_view kSignatureInvalid = "SIGNATURE_INVALID";
inline constexpr absl::string_view kChallengeInvalid = "CHALLENGE_INVALID";
inline constexpr absl::string_view kDeviceRevoked = "DEVICE_REVOKED";

// The request.
inline constexpr absl::string_view kFieldInvalid = "FIELD_INVALID";
inline constexpr absl::string_view kRequestTooLarge = "REQUEST_TOO_LARGE";
inline constexpr absl::string_view kResourceNameInvalid = "RESOURCE_NAME_INVALID";
inline constexpr absl::string_view kEnumUnknown = "ENUM_UNKNOWN";
inline constexpr absl::string_view kPageTokenInvalid = "PAGE_TOKEN_INVALID";
inline constexpr absl::string_view kCandidateHandleInvalid = "CANDIDATE_HANDLE_INVALID";
inline constexpr absl::string_view kRequestIdRequired = "REQUEST_ID_REQUIRED";
inline constexpr absl::string_view kRequestIdReused = "REQUEST_ID_REUSED";
inline constexpr absl::string_view kDeadlineRequired = "DEADLINE_REQUIRED";
inline constexpr absl::string_view kNotFound = "NOT_FOUND";
inline constexpr absl::string_view kEtagMismatch = "ETAG_MISMATCH";

// State.
inline constexpr absl::string_view kConsentRequired = "CONSENT_REQUIRED";
inline constexpr absl::string_view kProfileIncomplete = "PROFILE_INCOMPLETE";
inline constexpr absl::string_view kTicketAlreadyOpen = "TICKET_ALREADY_OPEN";
inline constexpr absl::string_view kTicketNotOpen = "TICKET_NOT_OPEN";
inline constexpr absl::string_view kChoiceNotExpected = "CHOICE_NOT_EXPECTED";
inline constexpr absl::string_view kRelationshipNotOffered = "RELATIONSHIP_NOT_OFFERED";
inline constexpr absl::string_view kOfferNotOpen = "OFFER_NOT_OPEN";
inline constexpr absl::string_view kPairingEnded = "PAIRING_ENDED";
inline constexpr absl::string_view kPairingStateInvalid = "PAIRING_STATE_INVALID";
inline constexpr absl::string_view kConversationClosed = "CONVERSATION_CLOSED";
inline constexpr absl::string_view kEncryptionRequired = "ENCRYPTION_REQUIRED";
inline constexpr absl::string_view kEpochConflict = "EPOCH_CONFLICT";
inline constexpr absl::string_view kGroupMismatch = "GROUP_MISMATCH";
inline constexpr absl::string_view kGroupChangeInvalid = "GROUP_CHANGE_INVALID";
inline constexpr absl::string_view kDeviceNotInGroup = "DEVICE_NOT_IN_GROUP";
inline constexpr absl::string_view kAttachmentIncomplete = "ATTACHMENT_INCOMPLETE";
inline constexpr absl::string_view kAttachmentDigestWrong = "ATTACHMENT_DIGEST_WRONG";
inline constexpr absl::string_view kGroupResetNotAgreed = "GROUP_RESET_NOT_AGREED";
inline constexpr absl::string_view kCheckInNotDue = "CHECK_IN_NOT_DUE";
inline constexpr absl::string_view kRematchNotAvailable = "REMATCH_NOT_AVAILABLE";
inline constexpr absl::string_view kBackupNotPossible = "BACKUP_NOT_POSSIBLE";
inline constexpr absl::string_view kBatchPlanOutdated = "BATCH_PLAN_OUTDATED";
inline constexpr absl::string_view kBatchTooLarge = "BATCH_TOO_LARGE";
inline constexpr absl::string_view kNotOnProbation = "NOT_ON_PROBATION";
inline constexpr absl::string_view kMemberSuspended = "MEMBER_SUSPENDED";
inline constexpr absl::string_view kSequenceInvalid = "SEQUENCE_INVALID";

// Limits and dependencies.
inline constexpr absl::string_view kOverloaded = "OVERLOADED";
inline constexpr absl::string_view kDraining = "DRAINING";
inline constexpr absl::string_view kRateLimited = "RATE_LIMITED";
inline constexpr absl::string_view kQueueFull = "QUEUE_FULL";
inline constexpr absl::string_view kAttachmentsFull = "ATTACHMENTS_FULL";
inline constexpr absl::string_view kPoolDrained = "POOL_DRAINED";
inline constexpr absl::string_view kPoolFull = "POOL_FULL";
inline constexpr absl::string_view kCandidatesSpent = "CANDIDATES_SPENT";
inline constexpr absl::string_view kStreamReplaced = "STREAM_REPLACED";
inline constexpr absl::string_view kDeadlineExceeded = "DEADLINE_EXCEEDED";
inline constexpr absl::string_view kCancelled = "CANCELLED";
inline constexpr absl::string_view kDatabaseUnavailable = "DATABASE_UNAVAILABLE";
inline constexpr absl::string_view kDatabaseConflict = "DATABASE_CONFLICT";
inline constexpr absl::string_view kDatabaseFull = "DATABASE_FULL";
inline constexpr absl::string_view kOutcomeUnknown = "OUTCOME_UNKNOWN";
inline constexpr absl::string_view kConstraintViolated = "CONSTRAINT_VIOLATED";
inline constexpr absl::string_view kRedisUnavailable = "REDIS_UNAVAILABLE";
inline constexpr absl::string_view kRedisError = "REDIS_ERROR";
inline constexpr absl::string_view kPeerUnavailable = "PEER_UNAVAILABLE";
inline constexpr absl::string_view kConfigurationInvalid = "CONFIGURATION_INVALID";
inline constexpr absl::string_view kDataCorrupt = "DATA_CORRUPT";
inline constexpr absl::string_view kInternal = "INTERNAL";

}  // namespace handrail::reason

#endif  // HANDRAIL_COMMON_BASE_REASON_H_

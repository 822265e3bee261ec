#include "services/messaging/domain/groups.h"

#include <algorithm>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/messaging/domain/franking.h"
#include "services/messaging/domain/key_packages.h"
#include "services/messaging/domain/known_device.h"
#include "services/messaging/domain/message_store.h"
#include "services/messaging/domain/mls_framing.h"

namespace handrail::messaging {
namespace {

using absl::StatusCode;

// An MLSMessage that holds a GroupInfo, as far as it is read: version 1.0, wire format 4.
bool IsGroupInfo(absl::string_view message) {
  return absl::StartsWith(message, absl::string_view("\0\1\0\4", 4));
}

bool HasTwins(const std::vector<DeviceId>& sorted) {
  return std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
}

// The commit is the first of a group that is not the one it replaces.
absl::Status CheckFounds(const CommitBundle& bundle) {
  if (bundle.external || bundle.epoch != 0) {
    return FieldError("commit", "is not the first commit of a new group");
  }
  if (!bundle.removed.empty()) return FieldError("devices_removed", "a new group has none yet");
  if (bundle.group_id != bundle.replaces->group_id) return absl::OkStatus();
  return FieldError("commit", "is of the group that it should replace");
}

EnvelopeKind KindOf(MlsContentType type) {
  switch (type) {
    case MlsContentType::kApplication: return EnvelopeKind::kApplication;
    case MlsContentType::kProposal: return EnvelopeKind::kProposal;
    case MlsContentType::kCommit: return EnvelopeKind::kCommit;
  }
  return EnvelopeKind::kOpaque;
}

}  // namespace

absl::Status EpochConflict(int64_t current_epoch, int64_t head_sequence) {
  return Error(StatusCode::kAborted, reason::kEpochConflict)
      .Message("the group is in another epoch: read what came, then make it anew")
      .Detail("current_epoch", absl::StrCat(current_epoch))
      .Detail("head_sequence", absl::StrCat(head_sequence));
}

absl::Status ResetConflict(int64_t current_epoch, int64_t head_sequence, int64_t generation) {
  return Error(StatusCode::kAborted, reason::kEpochConflict)
      .Message("the group has changed since: read what came, and look whether it is mended")
      .Detail("current_epoch", absl::StrCat(current_epoch))
      .Detail("head_sequence", absl::StrCat(head_sequence))
      .Detail("group_generation", absl::StrCat(generation));
}

absl::StatusOr<GroupMessage> AdmitGroupMessage(absl::string_view payload, const GroupPlace& group,
                                               const GroupLimits& limits) {
  const auto frame = ParseMlsFrame(payload);
  if (!frame.ok() || frame->wire_format != MlsWireFormat::kPrivateMessage ||
      frame->content_type == MlsContentType::kCommit) {
    return Error(StatusCode::kFailedPrecondition, reason::kEncryptionRequired)
        .Message("this conversation takes encrypted messages of its group only");
  }
  if (frame->group_id != group.group_id) {
    return Error(StatusCode::kFailedPrecondition, reason::kGroupMismatch)
        .Message("this message is of another group");
  }
  const auto current = static_cast<uint64_t>(group.epoch);
  const bool is_proposal = frame->content_type == MlsContentType::kProposal;
  const auto past = is_proposal ? uint64_t{0} : static_cast<uint64_t>(limits.past_epochs);
  if (frame->epoch > current || current - frame->epoch > past) {
    return EpochConflict(group.epoch, group.head_sequence);
  }
  return GroupMessage{KindOf(frame->content_type), static_cast<int64_t>(frame->epoch),
                      is_proposal ? absl::string_view() : CommitmentIn(frame->authenticated_data)};
}

void ReadFraming(Envelope& envelope) {
  const auto frame = ParseMlsFrame(envelope.payload);
  if (!frame.ok()) return;
  envelope.kind = KindOf(frame->content_type);
  envelope.epoch = static_cast<int64_t>(frame->epoch);
}

absl::Status Groups::ReadWelcomes(std::vector<Proposed::Welcome> welcomes,
                                  CommitBundle& bundle) const {
  std::vector<DeviceId> welcomed;
  for (size_t i = 0; i < welcomes.size(); ++i) {
    const std::string field = absl::StrCat("welcomes[", i, "].welcome");
    if (welcomes[i].message.size() > limits_.welcome_bytes) {
      return FieldError(field, absl::StrCat("is longer than ", limits_.welcome_bytes, " bytes"));
    }
    const auto welcome = ParseMlsWelcome(welcomes[i].message);
    if (!welcome.ok()) return FieldError(field, welcome.status().message());
    if (welcome->cipher_suite != kMlsCipherSuite) {
      return FieldError(field, "is not of MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519");
    }
    if (welcome->recipients.size() != welcomes[i].devices.size()) {
      return FieldError(field, "does not have one recipient for each of its devices");
    }
    WelcomeFor& read = bundle.welcomes.emplace_back();
    for (const absl::string_view reference : welcome->recipients) {
      read.references.emplace_back(reference);
    }
    read.devices = std::move(welcomes[i].devices);
    read.message = std::move(welcomes[i].message);
    welcomed.insert(welcomed.end(), read.devices.begin(), read.devices.end());
  }
  std::sort(welcomed.begin(), welcomed.end());
  if (welcomed == bundle.added) return absl::OkStatus();
  return FieldError("welcomes", "do not name each of devices_added once, and nobody else");
}

absl::StatusOr<CommitBundle> Groups::Read(const Call& call, Proposed proposed) const {
  if (proposed.commit.size() > limits_.commit_bytes) {
    return FieldError("commit", absl::StrCat("is longer than ", limits_.commit_bytes, " bytes"));
  }
  const auto frame = ParseMlsFrame(proposed.commit);
  if (!frame.ok()) return FieldError("commit", frame.status().message());
  if (frame->content_type != MlsContentType::kCommit) {
    return FieldError("commit", "holds no commit");
  }
  if (frame->epoch > static_cast<uint64_t>(std::numeric_limits<int64_t>::max() / 2)) {
    return FieldError("commit", "its epoch is out of range");
  }
  const std::string& info = proposed.group_info;
  // Without it nobody could join by an external commit when all devices in the group are gone.
  if (info.size() > limits_.group_info_bytes || !IsGroupInfo(info)) {
    return FieldError("group_info", absl::StrCat("is no MLSMessage with a GroupInfo of at most ",
                                                 limits_.group_info_bytes, " bytes"));
  }
  CommitBundle bundle;
  bundle.member = call.who.member;
  bundle.device = call.who.device;
  bundle.conversation = proposed.conversation;
  bundle.commit_id = proposed.commit_id;
  bundle.group_id = std::string(frame->group_id);
  bundle.epoch = static_cast<int64_t>(frame->epoch);
  bundle.external = frame->sender == MlsSender::kNewMemberCommit;
  bundle.added = std::move(proposed.added);
  bundle.removed = std::move(proposed.removed);
  bundle.group_info = std::move(proposed.group_info);
  std::sort(bundle.added.begin(), bundle.added.end());
  std::sort(bundle.removed.begin(), bundle.removed.end());
  if (HasTwins(bundle.added)) return FieldError("devices_added", "names a device twice");
  if (HasTwins(bundle.removed)) return FieldError("devices_removed", "names a device twice");
  for (const auto* list : {&bundle.added, &bundle.removed}) {
    if (!std::binary_search(list->begin(), list->end(), bundle.device)) continue;
    return FieldError(list == &bundle.added ? "devices_added" : "devices_removed",
                      "names the calling device");
  }
  // RFC 9420 §12.4.3.2: who joins by itself adds nobody, and removes its own former self at most.
  if (bundle.external && (!bundle.added.empty() || !bundle.removed.empty())) {
    return FieldError("commit", "an external commit adds and removes no other device");
  }
  bundle.replaces = std::move(proposed.replaces);
  if (bundle.replaces.has_value()) RETURN_IF_ERROR(CheckFounds(bundle));
  RETURN_IF_ERROR(ReadWelcomes(std::move(proposed.welcomes), bundle));
  bundle.commit = std::move(proposed.commit);
  return bundle;
}

template <typename Step>
auto Groups::KnowingDevice(const Call& call, Step step) -> decltype(step()) {
  return WithKnownDevice(
      [&] { return learn_caller_(call); },
      Error(StatusCode::kNotFound, reason::kNotFound).Message("no such conversation"), step);
}

absl::StatusOr<Committed> Groups::Commit(const Call& call, Proposed proposed) {
  ASSIGN_OR_RETURN(const CommitBundle bundle, Read(call, std::move(proposed)));
  auto committed =
      KnowingDevice(call, [&] { return store_.Commit(call.deadline, clock_.Now(), bundle); });
  if (committed.ok()) spread_(committed->wake_ups);
  return committed;
}

absl::StatusOr<Group> Groups::GetGroup(const Call& call, const ConversationId& conversation) {
  return KnowingDevice(call, [&] {
    return store_.GetGroup(call.deadline, call.who.member, call.who.device, conversation);
  });
}

absl::StatusOr<WelcomePage> Groups::FetchWelcomes(const Call& call) {
  return KnowingDevice(
      call, [&] { return store_.FetchWelcomes(call.deadline, call.who.member, call.who.device); });
}

absl::Status Groups::AckWelcome(const Call& call, const ConversationId& conversation,
                                int64_t sequence) {
  return KnowingDevice(call, [&] {
    return store_.AckWelcome(call.deadline, call.who.member, call.who.device, conversation,
                             sequence);
  });
}

absl::StatusOr<ReportedCommit> Groups::ReportInvalidCommit(const Call& call,
                                                           const InvalidCommit& commit) {
  return KnowingDevice(call,
                       [&] { return store_.ReportInvalidCommit(call, clock_.Now(), commit); });
}

}  // namespace handrail::messaging

// Every method of the API with every kind of caller, and every field with values that hostile or
// broken clients send. Both are made from the descriptors.

#include <gmock/gmock.h>
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <iostream>
#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/rpc/client.h"
#include "handrail/messaging/v1/attachment.pb.h"
#include "handrail/messaging/v1/invitation.grpc.pb.h"
#include "tests/integration/hostile.h"
#include "tests/support/api.h"
#include "tests/support/cluster.h"
#include "tests/support/people.h"
#include "tools/handrail/up/layout.h"

namespace handrail::tests {
namespace {

using common::v1::Access;
using grpc::StatusCode;
using matching::v1::MatchingService;

class ApiMatrixTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    Cluster::Options options;
    options.service_flags = {"--rate_limit_scale", "0"};
    auto cluster = Cluster::Start(options);
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = std::move(*cluster).release();
  }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }

  void SetUp() override {
    ASSERT_NE(cluster_, nullptr);
    methods_ = AllMethods();
    ASSERT_FALSE(methods_.empty());
    caller_ = std::make_unique<RawCaller>(cluster_->endpoints(), clock_);
    newcomer_ = Unwrap(JoinAsNewcomer(cluster_->services(), clock_, random_));
    sponsor_ = Unwrap(JoinAsSponsor(cluster_->services(), clock_, random_, 5));
    stranger_ = Unwrap(JoinAsNewcomer(cluster_->services(), clock_, random_,
                                      common::v1::PHILOSOPHY_TWELVE_STEP_NA));
    token_ = TokenOf(*newcomer_);
    ASSERT_EQ(std::count(token_.begin(), token_.end(), '.'), 2) << "not a JWT";
    MakeResources();
  }

  template <typename T>
  T Unwrap(absl::StatusOr<T> result) {
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : T();
  }
  std::string TokenOf(tools::Person& person) {
    return Unwrap(person.TokenGoodFor(absl::Minutes(1)));
  }

  void MakeResources();
  std::string BeginAttachment(const std::string& conversation);
  std::string MakeInvitation();

  static std::string Bearer(const std::string& token) { return absl::StrCat("Bearer ", token); }
  // The token with one thing in its claims or signature changed.
  std::string WithClaims(const std::string& from, const std::string& to) const {
    std::vector<std::string> parts = absl::StrSplit(token_, '.');
    std::string claims;
    EXPECT_TRUE(absl::WebSafeBase64Unescape(parts[1], &claims));
    const std::string changed = absl::StrReplaceAll(claims, {{from, to}});
    EXPECT_NE(changed, claims);
    parts[1] = absl::WebSafeBase64Escape(changed);
    return absl::StrCat(parts[0], ".", parts[1], ".", parts[2]);
  }

  std::string ValidBytes(const Method& method, const Resources& resources) {
    return MakeValidRequest(method.descriptor->input_type(), resources, random_)
        ->SerializeAsString();
  }

  static Cluster* cluster_;
  SystemClock clock_;
  SystemRandom random_;
  std::vector<Method> methods_;
  std::unique_ptr<RawCaller> caller_;
  std::unique_ptr<tools::Person> newcomer_;
  std::unique_ptr<tools::Person> sponsor_;
  std::unique_ptr<tools::Person> stranger_;
  std::string token_;
  Resources resources_;  // what newcomer_ and sponsor_ have together
};

Cluster* ApiMatrixTest::cluster_ = nullptr;

// A pairing with its conversation, so that there is one of everything to be curious about.
void ApiMatrixTest::MakeResources() {
  auto& matching = cluster_->services().matching();
  matching::v1::RequestMatchRequest ask;
  ask.set_philosophy(kDefaultProgram);
  ask.set_relationship_type(common::v1::RELATIONSHIP_TYPE_SPONSOR);
  ask.set_request_id(newcomer_->NewRequestId());
  const auto ticket = Unwrap(newcomer_->Call(matching, &MatchingService::Stub::RequestMatch, ask));
  const absl::Time give_up = clock_.Now() + absl::Seconds(20);
  StopSignal pause;
  matching::v1::ListOffersResponse offers;
  while (offers.offers().empty() && clock_.Now() < give_up) {
    offers = Unwrap(sponsor_->Call(matching, &MatchingService::Stub::ListOffers,
                                   matching::v1::ListOffersRequest()));
    pause.Pause(absl::Milliseconds(20));
  }
  ASSERT_FALSE(offers.offers().empty());
  matching::v1::AcceptOfferRequest accept;
  accept.set_name(offers.offers(0).name());
  accept.set_request_id(sponsor_->NewRequestId());
  const auto accepted =
      Unwrap(sponsor_->Call(matching, &MatchingService::Stub::AcceptOffer, accept));
  matching::v1::GetPairingRequest get;
  get.set_name(accepted.name());
  matching::v1::Pairing pairing;
  while (pairing.conversation().empty() && clock_.Now() < give_up) {
    pairing = Unwrap(newcomer_->Call(matching, &MatchingService::Stub::GetPairing, get));
    pause.Pause(absl::Milliseconds(20));
  }
  ASSERT_FALSE(pairing.conversation().empty());
  matching::v1::ReachRequest reach;
  reach.set_request_id(newcomer_->NewRequestId());
  const auto reached = Unwrap(
      newcomer_->Call(cluster_->services().help(), &matching::v1::HelpService::Stub::Reach, reach));
  ASSERT_TRUE(reached.has_help_call());
  resources_ = {{"tickets", ticket.name()},
                {"helpCalls", reached.help_call().name()},
                {"offers", accept.name()},
                {"pairings", pairing.name()},
                {"conversations", pairing.conversation()},
                {"attachments", BeginAttachment(pairing.conversation())},
                {"invitations", MakeInvitation()},
                {"devices", newcomer_->device()}};
}

// The newcomer's, with nothing in it yet.
std::string ApiMatrixTest::BeginAttachment(const std::string& conversation) {
  messaging::v1::BeginAttachmentRequest request;
  request.set_conversation(conversation);
  request.set_attachment_id(AttachmentId::Random(random_).ToString());
  request.set_size_bytes(1);
  request.set_digest(std::string(32, 'd'));
  for (const Method& method : methods_) {
    if (method.descriptor->name() != "BeginAttachment") continue;
    const auto outcome = caller_->Call(method, request.SerializeAsString(), Bearer(token_));
    EXPECT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  }
  return absl::StrCat("attachments/", request.attachment_id());
}

// Into a conversation of the newcomer's own.
std::string ApiMatrixTest::MakeInvitation() {
  using Stub = messaging::v1::InvitationService::Stub;
  rpc::ClientOptions options;
  options.address = cluster_->endpoints().messaging;
  Stub stub(*rpc::MakeChannel(options));
  messaging::v1::CreateGroupConversationRequest begin;
  begin.set_request_id(newcomer_->NewRequestId());
  const auto begun = Unwrap(newcomer_->Call(stub, &Stub::CreateGroupConversation, begin));
  messaging::v1::CreateInvitationRequest invite;
  invite.set_conversation(begun.conversation());
  invite.set_secret_digest(std::string(32, 'd'));
  invite.set_request_id(newcomer_->NewRequestId());
  return Unwrap(newcomer_->Call(stub, &Stub::CreateInvitation, invite)).name();
}

std::string Label(const Method& method, const std::string& who) {
  return absl::StrCat(method.path, " by ", who);
}

// What no caller may bring about, whatever is sent.
bool IsOurFault(StatusCode code) {
  return code == StatusCode::INTERNAL || code == StatusCode::UNKNOWN ||
         code == StatusCode::DATA_LOSS || code == StatusCode::UNAVAILABLE ||
         code == StatusCode::DEADLINE_EXCEEDED;
}

TEST_F(ApiMatrixTest, EveryMethodHasAnAccessRuleAndIsServedWhereItBelongs) {
  for (const Method& method : methods_) {
    EXPECT_NE(method.policy.access(), common::v1::ACCESS_UNSPECIFIED) << method.path;
    const auto outcome = caller_->Call(method, ValidBytes(method, {}), "");
    const bool served = outcome.status.error_code() != StatusCode::UNIMPLEMENTED;
    EXPECT_EQ(served, method.policy.access() != common::v1::ACCESS_SERVICE) << method.path;
  }
}

TEST_F(ApiMatrixTest, NobodyGetsInWithoutAGoodToken) {
  std::vector<std::string> parts = absl::StrSplit(token_, '.');
  const std::string none = absl::WebSafeBase64Escape("{\"alg\":\"none\",\"typ\":\"JWT\"}");
  const std::string sponsor_signature =
      std::vector<std::string>(absl::StrSplit(TokenOf(*sponsor_), '.')).at(2);
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"nobody", ""},
      {"an empty token", "Bearer "},
      {"another scheme", absl::StrCat("Basic ", token_)},
      {"a token that is none", Bearer("abc")},
      {"an unsigned token", Bearer(absl::StrCat(none, ".", parts[1], "."))},
      {"another's signature",
       Bearer(absl::StrCat(parts[0], ".", parts[1], ".", sponsor_signature))},
      {"a longer life", Bearer(WithClaims("\"exp\":", "\"exp\":9"))},
      {"a token that looks expired", Bearer(WithClaims("\"exp\":1", "\"exp\":0"))},
      {"another issuer", Bearer(WithClaims("handrail", "handrai1"))},
      {"a very long token", Bearer(std::string(6000, 'a'))},
  };
  int calls = 0;
  for (const Method& method : methods_) {
    if (method.policy.access() == common::v1::ACCESS_SERVICE) continue;
    for (const auto& [who, authorization] : bad) {
      const auto outcome = caller_->Call(method, ValidBytes(method, {}), authorization);
      ++calls;
      if (method.policy.access() == common::v1::ACCESS_PUBLIC) {
        EXPECT_FALSE(IsOurFault(outcome.status.error_code())) << Label(method, who);
      } else {
        EXPECT_EQ(outcome.status.error_code(), StatusCode::UNAUTHENTICATED) << Label(method, who);
        EXPECT_FALSE(outcome.answered) << Label(method, who);
        EXPECT_FALSE(outcome.reason.empty()) << Label(method, who);
      }
    }
  }
  std::cout << calls << " calls refused\n";
}

TEST_F(ApiMatrixTest, MembersAndSponsorsGetWhatIsTheirs) {
  const std::string as_newcomer = Bearer(token_);
  const std::string as_sponsor = Bearer(TokenOf(*sponsor_));
  for (const Method& method : methods_) {
    const Access access = method.policy.access();
    for (const auto& [who, authorization] :
         {std::pair("a newcomer", as_newcomer), {"a sponsor", as_sponsor}}) {
      const auto outcome = caller_->Call(method, ValidBytes(method, {}), authorization);
      const StatusCode code = outcome.status.error_code();
      const std::string label = absl::StrCat(Label(method, who), ": ", outcome.reason);
      EXPECT_FALSE(IsOurFault(code)) << label << " " << code;
      if (access == common::v1::ACCESS_SERVICE) {
        EXPECT_EQ(code, StatusCode::UNIMPLEMENTED) << label;
      } else if (access == common::v1::ACCESS_STAFF || access == common::v1::ACCESS_OPERATOR) {
        EXPECT_EQ(code, StatusCode::PERMISSION_DENIED) << label;
      } else if (access == common::v1::ACCESS_SPONSOR && authorization == as_newcomer) {
        EXPECT_TRUE(code == StatusCode::PERMISSION_DENIED || code == StatusCode::NOT_FOUND)
            << label;
      } else {
        // A proof that proves nothing is refused with the same code as a token that does not.
        if (outcome.reason != reason::kChallengeInvalid) {
          EXPECT_NE(code, StatusCode::UNAUTHENTICATED) << label;
        }
        EXPECT_NE(code, StatusCode::PERMISSION_DENIED) << label;
        EXPECT_NE(code, StatusCode::UNIMPLEMENTED) << label;
      }
    }
  }
}

TEST_F(ApiMatrixTest, NotYoursAndNotThereLookTheSame) {
  int compared = 0;
  for (const Method& method : methods_) {
    const Access access = method.policy.access();
    if (access != common::v1::ACCESS_MEMBER && access != common::v1::ACCESS_SPONSOR) continue;
    for (tools::Person* person : {stranger_.get(), newcomer_.get()}) {
      // The newcomer is a stranger to offers only.
      Resources foreign = resources_;
      if (person == newcomer_.get()) foreign = {{"offers", resources_["offers"]}};
      const std::string yours = ValidBytes(method, foreign);
      bool names_one = false;
      for (const auto& [collection, name] : foreign) names_one |= absl::StrContains(yours, name);
      if (!names_one) continue;
      const std::string authorization = Bearer(TokenOf(*person));
      const auto not_yours = caller_->Call(method, yours, authorization);
      const auto not_there = caller_->Call(method, ValidBytes(method, {}), authorization);
      ++compared;
      EXPECT_FALSE(not_yours.status.ok()) << method.path;
      EXPECT_EQ(not_yours.status.error_code(), not_there.status.error_code()) << method.path;
      EXPECT_EQ(not_yours.reason, not_there.reason) << method.path;
      EXPECT_EQ(not_yours.status.error_message(), not_there.status.error_message()) << method.path;
    }
  }
  EXPECT_GE(compared, 12);
}

TEST_F(ApiMatrixTest, HostileInputIsRefusedAndNeverAFaultOfOurs) {
  google::protobuf::SetLogHandler(nullptr);  // it tells of every bad UTF-8 that we send
  const std::string as_sponsor = Bearer(TokenOf(*sponsor_));
  const tools::Layout layout = *tools::MakeLayout(cluster_->data_folder());
  const auto boss = Unwrap(tools::Person::LoadOrRegister(cluster_->services(), clock_, random_,
                                                         layout.PersonFile("operator")));
  const std::string as_operator = Bearer(TokenOf(*boss));
  std::map<std::string, pid_t> pids;
  for (const char* service : {"profiles", "matching", "messaging"}) {
    pids[service] = cluster_->PidOf(service);
  }
  int64_t sent = 0;
  int64_t refused = 0;
  for (const Method& method : methods_) {
    const Access access = method.policy.access();
    if (access == common::v1::ACCESS_SERVICE) continue;
    const std::string& authorization =
        access == common::v1::ACCESS_OPERATOR ? as_operator : as_sponsor;
    const auto valid = MakeValidRequest(method.descriptor->input_type(), {}, random_);
    for (const HostileRequest& request : MakeHostileRequests(*valid)) {
      const auto outcome = caller_->Call(method, request.bytes, authorization);
      const StatusCode code = outcome.status.error_code();
      ++sent;
      refused += outcome.status.ok() ? 0 : 1;
      const std::string label = absl::StrCat(method.path, " ", request.label, ": ", outcome.reason,
                                             " ", outcome.status.error_message());
      EXPECT_FALSE(IsOurFault(code)) << label << " " << code;
      // On a stream of requests a frame is refused by a frame, not by the status of the call.
      if (!request.must_be_refused || method.descriptor->client_streaming()) continue;
      if (code == StatusCode::RESOURCE_EXHAUSTED) continue;  // larger than any request may be
      EXPECT_EQ(code, StatusCode::INVALID_ARGUMENT) << label;
      EXPECT_FALSE(outcome.reason.empty()) << label;
    }
  }
  std::cout << sent << " hostile requests, " << refused << " refused\n";
  EXPECT_GT(sent, 1000);
  for (const auto& [service, pid] : pids) {
    EXPECT_EQ(cluster_->PidOf(service), pid) << service << " was started again";
  }
}

}  // namespace
}  // namespace handrail::tests

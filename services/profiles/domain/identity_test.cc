#include "services/profiles/domain/identity.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/crypto/token.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/profiles/testing/world.h"

namespace handrail::profiles {
namespace {

using testing::Person;
using testing::World;

template <typename T>
std::string Reason(const absl::StatusOr<T>& result) {
  return result.ok() ? "" : ReasonOf(result.status());
}

class IdentityTest : public ::testing::Test {
 protected:
  absl::StatusOr<crypto::TokenClaims> Verify(const AccessToken& token,
                                             const std::string& audience = "handrail") {
    crypto::TokenVerifier verifier({.issuer = "handrail", .audience = audience}, world_.clock);
    verifier.SetKeys(world_.signing_keys->Published());
    return verifier.Verify(token.token.Reveal());
  }

  World world_;
};

TEST_F(IdentityTest, ChallengesDifferAndLookAlikeForKnownAndUnknownKeys) {
  const Person known = world_.Register();
  const std::string unknown(world_.NewKey()->verify_key().bytes());
  std::set<std::string> seen;
  for (int i = 0; i < 20; ++i) {
    const Challenge a =
        world_.identity->CreateChallenge(World::Anonymous(), known.key->verify_key().bytes());
    const Challenge b = world_.identity->CreateChallenge(World::Anonymous(), unknown);
    EXPECT_EQ(a.bytes.size(), 32u);
    EXPECT_EQ(b.bytes.size(), 32u);
    EXPECT_EQ(a.expire_time, b.expire_time);
    EXPECT_EQ(a.signing_context, "handrail-signin-v1:test\n");
    EXPECT_EQ(b.signing_context, a.signing_context);
    seen.insert(a.bytes);
    seen.insert(b.bytes);
  }
  EXPECT_EQ(seen.size(), 40u);
}

TEST_F(IdentityTest, RegisteringAKnownKeyReturnsItsOwnMember) {
  const Person person = world_.Register();
  const auto again = world_.identity->RegisterDevice(World::Anonymous(), world_.Prove(*person.key));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->device.id, person.device);
  EXPECT_EQ(again->device.member, person.member);
  EXPECT_EQ(again->device.public_key, person.key->verify_key().bytes());
  EXPECT_NE(world_.Register().member, person.member);
}

TEST_F(IdentityTest, AChallengeIsGoodForOneUse) {
  const Person person = world_.Register();
  const DeviceProof proof = world_.Prove(*person.key);
  ASSERT_TRUE(world_.identity->CreateToken(World::Anonymous(), proof).ok());
  const auto replayed = world_.identity->CreateToken(World::Anonymous(), proof);
  EXPECT_EQ(replayed.status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Reason(replayed), reason::kChallengeInvalid);
  EXPECT_EQ(Reason(world_.identity->RegisterDevice(World::Anonymous(), proof)),
            reason::kChallengeInvalid);
}

TEST_F(IdentityTest, AChallengeExpiresAfterAMinute) {
  const Person person = world_.Register();
  const DeviceProof in_time = world_.Prove(*person.key);
  const DeviceProof late = world_.Prove(*person.key);
  world_.clock.Advance(absl::Seconds(59));
  EXPECT_TRUE(world_.identity->CreateToken(World::Anonymous(), in_time).ok());
  world_.clock.Advance(absl::Seconds(1));
  EXPECT_EQ(Reason(world_.identity->CreateToken(World::Anonymous(), late)),
            reason::kChallengeInvalid);
}

TEST_F(IdentityTest, AReplayIsRefusedAfterTrimmingToo) {
  const Person person = world_.Register();
  const DeviceProof proof = world_.Prove(*person.key);
  ASSERT_TRUE(world_.identity->CreateToken(World::Anonymous(), proof).ok());
  world_.clock.Advance(absl::Seconds(59));
  ASSERT_TRUE(world_.store->Trim(world_.clock.Now(), 1000, absl::InfiniteFuture()).ok());
  EXPECT_EQ(Reason(world_.identity->CreateToken(World::Anonymous(), proof)),
            reason::kChallengeInvalid);
  world_.clock.Advance(absl::Minutes(3));
  const auto trimmed = world_.store->Trim(world_.clock.Now(), 1000, absl::InfiniteFuture());
  ASSERT_TRUE(trimmed.ok());
  EXPECT_GE(*trimmed, 2);  // of the registration and of the token
}

TEST_F(IdentityTest, AChallengeIsBoundToItsKey) {
  const Person person = world_.Register();
  const auto other = world_.NewKey();
  DeviceProof proof = world_.Prove(*other);
  proof.public_key = std::string(person.key->verify_key().bytes());
  proof.signature = person.key->Sign(absl::StrCat("handrail-signin-v1:test\n", proof.challenge));
  EXPECT_EQ(Reason(world_.identity->CreateToken(World::Anonymous(), proof)),
            reason::kChallengeInvalid);
}

TEST_F(IdentityTest, AChallengeIsBoundToTheDeployment) {
  const Person person = world_.Register();
  IdentityOptions elsewhere;
  elsewhere.deployment = "elsewhere";
  Identity other(*world_.store, *world_.identity_crypto, world_.clock, world_.random, elsewhere,
                 [] {});
  const DeviceProof proof = world_.Prove(*person.key);
  EXPECT_EQ(Reason(other.CreateToken(World::Anonymous(), proof)), reason::kChallengeInvalid);
}

TEST_F(IdentityTest, EveryChangedBitOfAChallengeIsRefused) {
  const Person person = world_.Register();
  const DeviceProof proof = world_.Prove(*person.key);
  for (size_t bit = 0; bit < 256; ++bit) {
    DeviceProof changed = proof;
    changed.challenge[bit / 8] = static_cast<char>(changed.challenge[bit / 8] ^ (1 << (bit % 8)));
    changed.signature =
        person.key->Sign(absl::StrCat("handrail-signin-v1:test\n", changed.challenge));
    EXPECT_EQ(Reason(world_.identity->CreateToken(World::Anonymous(), changed)),
              reason::kChallengeInvalid)
        << bit;
  }
}

TEST_F(IdentityTest, WrongSignatureUnknownAndRevokedDeviceLookAlike) {
  const Person person = world_.Register();
  DeviceProof forged = world_.Prove(*person.key);
  forged.signature[5] = static_cast<char>(forged.signature[5] ^ 1);
  const auto wrong = world_.identity->CreateToken(World::Anonymous(), forged);
  const auto unknown =
      world_.identity->CreateToken(World::Anonymous(), world_.Prove(*world_.NewKey()));
  ASSERT_TRUE(world_.identity->RevokeDevice(world_.CallBy(person, "revoke"), person.device).ok());
  const auto revoked = world_.identity->CreateToken(World::Anonymous(), world_.Prove(*person.key));
  EXPECT_EQ(Reason(wrong), reason::kSignatureInvalid);
  EXPECT_EQ(unknown.status(), wrong.status());
  EXPECT_EQ(revoked.status(), wrong.status());
  EXPECT_EQ(world_.identity->RegisterDevice(World::Anonymous(), world_.Prove(*person.key)).status(),
            wrong.status());
}

TEST_F(IdentityTest, ASignatureWithoutTheContextIsWorthless) {
  const Person person = world_.Register();
  DeviceProof proof = world_.Prove(*person.key);
  proof.signature = person.key->Sign(proof.challenge);
  EXPECT_EQ(Reason(world_.identity->CreateToken(World::Anonymous(), proof)),
            reason::kSignatureInvalid);
}

TEST_F(IdentityTest, TokensNameMemberDeviceAndRoleAndLiveTenMinutes) {
  const Person person = world_.Register();
  const auto token = world_.identity->CreateToken(World::Anonymous(), world_.Prove(*person.key));
  ASSERT_TRUE(token.ok());
  EXPECT_EQ(token->expire_time, world_.clock.Now() + absl::Minutes(10));
  const auto claims = Verify(*token);
  ASSERT_TRUE(claims.ok()) << claims.status();
  EXPECT_EQ(claims->member, person.member);
  EXPECT_EQ(claims->device, person.device);
  EXPECT_EQ(claims->role, crypto::TokenClaims::Role::kMember);
  EXPECT_EQ(claims->expires_at - claims->issued_at, absl::Minutes(10));
  EXPECT_FALSE(claims->token_id.empty());
  EXPECT_FALSE(Verify(*token, "elsewhere").ok());
}

TEST_F(IdentityTest, TheOperatorsFileGivesRoles) {
  const Person person = world_.Register();
  world_.operators = *OperatorList::Parse(absl::StrCat("staff ", person.member.Name(), "\n"));
  const auto token = world_.identity->CreateToken(World::Anonymous(), world_.Prove(*person.key));
  ASSERT_TRUE(token.ok());
  EXPECT_EQ(Verify(*token)->role, crypto::TokenClaims::Role::kStaff);
}

TEST_F(IdentityTest, AddingADeviceIsOneWritePerRequestId) {
  const Person person = world_.Register();
  const auto second = world_.NewKey();
  const DeviceProof proof = world_.Prove(*second);
  const auto added = world_.identity->AddDevice(world_.CallBy(person, "add-1", "a"), proof);
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->member, person.member);
  // Even when the challenge has long expired.
  world_.clock.Advance(absl::Hours(1));
  const auto repeated = world_.identity->AddDevice(world_.CallBy(person, "add-1", "a"), proof);
  ASSERT_TRUE(repeated.ok()) << repeated.status();
  EXPECT_EQ(*repeated, *added);
  const auto reused = world_.identity->AddDevice(world_.CallBy(person, "add-1", "b"), proof);
  EXPECT_EQ(Reason(reused), reason::kRequestIdReused);
  EXPECT_EQ(Reason(world_.identity->AddDevice(world_.CallBy(person, ""), world_.Prove(*second))),
            reason::kRequestIdRequired);
}

TEST_F(IdentityTest, AKeyBelongsToOneMember) {
  const Person person = world_.Register();
  const Person other = world_.Register();
  const auto taken =
      world_.identity->AddDevice(world_.CallBy(person, "add-1"), world_.Prove(*other.key));
  EXPECT_EQ(taken.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Reason(taken), reason::kConstraintViolated);
}

TEST_F(IdentityTest, AMemberHasAtMostSixteenActiveDevices) {
  const Person person = world_.Register();
  for (int i = 1; i < 16; ++i) {
    ASSERT_TRUE(world_.identity
                    ->AddDevice(world_.CallBy(person, absl::StrCat("add-", i)),
                                world_.Prove(*world_.NewKey()))
                    .ok())
        << i;
  }
  const auto one_too_many =
      world_.identity->AddDevice(world_.CallBy(person, "add-16"), world_.Prove(*world_.NewKey()));
  EXPECT_EQ(one_too_many.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Reason(one_too_many), reason::kQueueFull);

  const auto page = world_.identity->ListDevices(world_.CallBy(person), {std::nullopt, 100});
  ASSERT_EQ(page->items.size(), 16u);
  ASSERT_TRUE(world_.identity
                  ->RevokeDevice(world_.CallBy(person, "revoke"),
                                 page->items.back().id == person.device ? page->items.front().id
                                                                        : page->items.back().id)
                  .ok());
  EXPECT_TRUE(
      world_.identity->AddDevice(world_.CallBy(person, "add-17"), world_.Prove(*world_.NewKey()))
          .ok());
}

TEST_F(IdentityTest, AMemberAddsAtMostThirtyTwoDevicesADay) {
  const Person person = world_.Register();
  const auto add = [&](int i) {
    return world_.identity->AddDevice(world_.CallBy(person, absl::StrCat("add-", i)),
                                      world_.Prove(*world_.NewKey()));
  };
  for (int i = 1; i < 32; ++i) {
    const auto added = add(i);
    ASSERT_TRUE(added.ok()) << i << ": " << added.status();
    const Call revoking = world_.CallBy(person, absl::StrCat("revoke-", i));
    ASSERT_TRUE(world_.identity->RevokeDevice(revoking, added->id).ok());
  }
  EXPECT_EQ(Reason(add(32)), reason::kRateLimited) << "the first one counts, and the revoked ones";
  world_.clock.Advance(absl::Hours(24));
  EXPECT_TRUE(add(33).ok());
}

TEST_F(IdentityTest, OnlyOwnDevicesAreSeenAndRevoked) {
  const Person person = world_.Register();
  const Person other = world_.Register();
  const auto foreign =
      world_.identity->RevokeDevice(world_.CallBy(person, "revoke-1"), other.device);
  const auto missing = world_.identity->RevokeDevice(world_.CallBy(person, "revoke-2"),
                                                     DeviceId::Random(world_.random));
  EXPECT_EQ(foreign.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(foreign.status(), missing.status());
  const auto page = world_.identity->ListDevices(world_.CallBy(person), {});
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->items.size(), 1u);
  EXPECT_EQ(page->items.front().id, person.device);
}

TEST_F(IdentityTest, ARevokedDeviceCallsNothingHereAtOnce) {
  const Person person = world_.Register();
  const auto second = world_.NewKey();
  const auto added =
      world_.identity->AddDevice(world_.CallBy(person, "add"), world_.Prove(*second));
  ASSERT_TRUE(added.ok());
  const Person on_second{second, person.member, added->id};
  const auto revoked = world_.identity->RevokeDevice(world_.CallBy(on_second, "revoke"), added->id);
  ASSERT_TRUE(revoked.ok());
  EXPECT_EQ(revoked->revoke_time, world_.clock.Now());
  EXPECT_EQ(Reason(world_.identity->ListDevices(world_.CallBy(on_second), {})),
            reason::kTokenRevoked);
  EXPECT_EQ(Reason(world_.profiles->Update(world_.CallBy(on_second, "update"), {})),
            reason::kTokenRevoked);
  // The answer to the revocation itself can be had again.
  EXPECT_TRUE(world_.identity->RevokeDevice(world_.CallBy(on_second, "revoke"), added->id).ok());
  // Revoking it again from elsewhere changes nothing.
  world_.clock.Advance(absl::Seconds(5));
  const auto again = world_.identity->RevokeDevice(world_.CallBy(person, "again"), added->id);
  EXPECT_EQ(*again, *revoked);
}

TEST_F(IdentityTest, RevocationsAreListedOldestFirstByPage) {
  const Person person = world_.Register();
  std::vector<DeviceId> devices;
  for (int i = 0; i < 5; ++i) {
    const auto added = world_.identity->AddDevice(world_.CallBy(person, absl::StrCat("add-", i)),
                                                  world_.Prove(*world_.NewKey()));
    ASSERT_TRUE(added.ok());
    devices.push_back(added->id);
  }
  for (size_t i = 0; i < 5; ++i) {
    world_.clock.Advance(absl::Seconds(1));
    ASSERT_TRUE(
        world_.identity->RevokeDevice(world_.CallBy(person, absl::StrCat("revoke-", i)), devices[i])
            .ok());
  }
  std::vector<DeviceId> listed;
  PageRequest page{std::nullopt, 2};
  const absl::Time since = world_.clock.Now() - absl::Seconds(3);
  do {
    const auto got = world_.directory->ListRevocations(World::Anonymous(), since, page);
    ASSERT_TRUE(got.ok());
    for (const Revocation& revocation : got->items) listed.push_back(revocation.device);
    page.after = got->next;
  } while (page.after.has_value());
  EXPECT_THAT(listed, ::testing::ElementsAre(devices[1], devices[2], devices[3], devices[4]));
}

TEST_F(IdentityTest, AMemberWhoIsNotHereIsNotSignedIn) {
  Person nobody;
  nobody.member = MemberId::Random(world_.random);
  nobody.device = DeviceId::Random(world_.random);
  EXPECT_EQ(Reason(world_.identity->ListDevices(world_.CallBy(nobody), {})), reason::kTokenInvalid);
}

}  // namespace
}  // namespace handrail::profiles

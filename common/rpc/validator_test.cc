#include "common/rpc/validator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/rpc/testing/rpc_test_service.pb.h"
#include "common/rpc/text_rules.h"

namespace handrail::rpc {
namespace {

using ::testing::_;
using testing::Color;
using testing::EchoRequest;
using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr char kMember[] = "members/0123456789abcdef0123456789abcdef";

class ValidatorTest : public ::testing::Test {
 protected:
  ValidatorTest() {
    EXPECT_TRUE(validator_.Prepare(EchoRequest::descriptor()).ok());
    request_.set_request_id("a-1_B");
  }

  // The one path that is at fault, after the reason; "" for an accepted request.
  std::string Fault() {
    const absl::Status status = validator_.Check(&request_);
    if (status.ok()) return "";
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    const ErrorDetails details = DetailsOf(status);
    EXPECT_THAT(details.field_violations, SizeIs(1));
    return details.reason + " " + details.field_violations[0].first;
  }

  Validator validator_;
  EchoRequest request_;
};

TEST_F(ValidatorTest, AcceptsWhatFollowsTheRules) {
  request_.set_text("Grüße an alle");
  request_.set_member(kMember);
  request_.set_color(testing::COLOR_GREEN);
  request_.set_blob(std::string("\0\xff", 2));
  request_.set_size(10);
  request_.add_tags("a");
  request_.mutable_part()->set_label("x");
  (*request_.mutable_parts())["key"].set_label("y");
  request_.set_time_zone("America/Los_Angeles");
  request_.set_language("pt-BR");
  request_.set_country("CA");
  request_.mutable_when()->set_seconds(1'700'000'000);
  request_.mutable_day()->set_year(2024);
  request_.mutable_day()->set_month(2);
  request_.mutable_day()->set_day(29);
  request_.add_colors(testing::COLOR_GREEN);
  EXPECT_EQ(Fault(), "");
}

TEST_F(ValidatorTest, RequestIdIsNeededAndWellFormed) {
  request_.clear_request_id();
  EXPECT_EQ(Fault(), "REQUEST_ID_REQUIRED request_id");
  request_.set_request_id("with space");
  EXPECT_EQ(Fault(), "REQUEST_ID_REQUIRED request_id");
  request_.set_request_id(std::string(64, 'x'));
  EXPECT_EQ(Fault(), "");
  request_.set_request_id(std::string(65, 'x'));
  EXPECT_EQ(Fault(), "FIELD_INVALID request_id");
}

TEST_F(ValidatorTest, LengthsAreCounted) {
  request_.set_text(std::string(32, 'a'));
  EXPECT_EQ(Fault(), "");
  request_.set_text(std::string(33, 'a'));
  EXPECT_EQ(Fault(), "FIELD_INVALID text");
  request_.clear_text();
  request_.set_blob("1");
  EXPECT_EQ(Fault(), "FIELD_INVALID blob");
  request_.set_blob("12345");
  EXPECT_EQ(Fault(), "FIELD_INVALID blob");
  request_.clear_blob();
  for (int i = 0; i < 4; ++i) request_.add_tags("t");
  EXPECT_EQ(Fault(), "FIELD_INVALID tags");
  request_.mutable_tags()->DeleteSubrange(0, 2);
  request_.set_tags(1, "123456789");
  EXPECT_EQ(Fault(), "FIELD_INVALID tags[1]");
}

TEST_F(ValidatorTest, TextIsRefusedWhenItHidesSomething) {
  for (const std::string& bad :
       {std::string("a\0b", 3), std::string("\x01"), std::string("line\nline"), std::string("\x7f"),
        std::string("\xC2\x85"),
        std::string("a\xE2\x80\xAE"
                    "b"),
        std::string("a\xE2\x80\x8B"
                    "b"),
        std::string("\xEF\xBB\xBF"
                    "a"),
        std::string("a\xE2\x80\x8D"
                    "b"),
        std::string("\xE2\x81\xA6"
                    "x"),
        std::string("\xE2\x80\xA8"), std::string("\xED\xA0\x80"), std::string("\xFF"),
        std::string("\xC0\x80"), std::string("\xEF\xBF\xBF"), std::string("\xEE\x80\x80"),
        std::string("\xF3\xA0\x81\x81"), std::string("\xE3\x85\xA4"), std::string("\xCD\xB8")}) {
    request_.set_text(bad);
    EXPECT_EQ(Fault(), "FIELD_INVALID text") << ::testing::PrintToString(bad);
  }
}

TEST_F(ValidatorTest, TextIsNormalisedBeforeTheHandlerSeesIt) {
  request_.set_text("e\xCC\x81");  // e, combining acute
  request_.add_tags("A\xCC\x8A");
  EXPECT_EQ(Fault(), "");
  EXPECT_EQ(request_.text(), "\xC3\xA9");
  EXPECT_EQ(request_.tags(0), "\xC3\x85");
}

TEST_F(ValidatorTest, MapKeysMustBeNormalisedAlready) {
  (*request_.mutable_parts())["e\xCC\x81"].set_label("x");
  EXPECT_EQ(Fault(), "FIELD_INVALID parts[0].key");
}

TEST_F(ValidatorTest, ResourceNamesOfAnotherFormAreRefused) {
  for (const char* bad :
       {"tickets/0123456789abcdef0123456789abcdef", "members/0123456789ABCDEF0123456789abcdef",
        "members/", "members/0123", "members", "members/../../etc/passwd00000000000000000"}) {
    request_.set_member(bad);
    const absl::Status status = validator_.Check(&request_);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(ReasonOf(status), reason::kResourceNameInvalid) << bad;
  }
}

TEST_F(ValidatorTest, UnknownEnumValuesAreRefused) {
  request_.set_color(static_cast<Color>(7));
  EXPECT_EQ(Fault(), "ENUM_UNKNOWN color");
  request_.clear_color();
  request_.add_colors(testing::COLOR_GREEN);
  request_.add_colors(static_cast<Color>(-1));
  EXPECT_EQ(Fault(), "ENUM_UNKNOWN colors[1]");
}

TEST_F(ValidatorTest, NumbersKeepTheirRange) {
  request_.set_size(-1);
  EXPECT_EQ(Fault(), "FIELD_INVALID size");
  request_.set_size(11);
  EXPECT_EQ(Fault(), "FIELD_INVALID size");
}

TEST_F(ValidatorTest, NestedMessagesAreCheckedWithTheirPath) {
  request_.mutable_part()->mutable_inner()->set_label("x");
  EXPECT_EQ(Fault(), "FIELD_INVALID part.label");
  request_.mutable_part()->set_label("x");
  request_.mutable_part()->mutable_inner()->set_label("\x02");
  EXPECT_EQ(Fault(), "FIELD_INVALID part.inner.label");
  request_.clear_part();
  (*request_.mutable_parts())["k"];
  EXPECT_EQ(Fault(), "FIELD_INVALID parts[0].value.label");
}

TEST_F(ValidatorTest, NestingHasALimit) {
  testing::Part* part = request_.mutable_part();
  for (int depth = 2; depth < Validator::kMaxDepth; ++depth) {
    part->set_label("x");
    part = part->mutable_inner();
  }
  part->set_label("x");
  EXPECT_EQ(Fault(), "");
  part->mutable_inner()->set_label("x");
  EXPECT_THAT(Fault(), ::testing::StartsWith("FIELD_INVALID part.inner."));
}

TEST_F(ValidatorTest, ZonesLanguagesCountriesTimesAndDates) {
  for (const char* bad : {"../../etc/passwd", "/etc/localtime", ":UTC", "Mars/Olympus", "UTC\\"}) {
    request_.set_time_zone(bad);
    EXPECT_EQ(Fault(), "FIELD_INVALID time_zone") << bad;
  }
  request_.clear_time_zone();
  for (const char* bad : {"e", "english", "en_US", "en-", "-en", "en--US", "123"}) {
    request_.set_language(bad);
    EXPECT_EQ(Fault(), "FIELD_INVALID language") << bad;
  }
  request_.clear_language();
  for (const char* bad : {"ca", "XX", "CAN", "C"}) {
    request_.set_country(bad);
    EXPECT_EQ(Fault(), "FIELD_INVALID country") << bad;
  }
  request_.clear_country();
  request_.mutable_when()->set_nanos(-1);
  EXPECT_EQ(Fault(), "FIELD_INVALID when");
  request_.clear_when();
  request_.mutable_day()->set_year(2023);
  request_.mutable_day()->set_month(2);
  request_.mutable_day()->set_day(29);
  EXPECT_EQ(Fault(), "FIELD_INVALID day");
}

TEST_F(ValidatorTest, AllFaultsAreToldAtOnceUpToABound) {
  request_.clear_request_id();
  request_.set_color(static_cast<Color>(9));
  request_.set_size(99);
  absl::Status status = validator_.Check(&request_);
  EXPECT_EQ(ReasonOf(status), reason::kFieldInvalid);
  EXPECT_THAT(
      DetailsOf(status).field_violations,
      ::testing::UnorderedElementsAre(Pair("request_id", _), Pair("color", _), Pair("size", _)));
  for (int i = 0; i < 40; ++i) request_.add_list();
  status = validator_.Check(&request_);
  EXPECT_THAT(DetailsOf(status).field_violations, SizeIs(Validator::kMaxViolations));
}

TEST_F(ValidatorTest, FaultsQuoteNothingOfTheRequest) {
  request_.set_text("secret\x01");
  request_.set_member("secret");
  request_.set_country("secret");
  const absl::Status status = validator_.Check(&request_);
  EXPECT_THAT(status.ToString(), ::testing::Not(::testing::HasSubstr("secret")));
}

TEST_F(ValidatorTest, UnknownFieldsAreGoneAtEveryDepth) {
  request_.GetReflection()->MutableUnknownFields(&request_)->AddVarint(9999, 1);
  testing::Part& part = *request_.mutable_part();
  part.set_label("x");
  part.GetReflection()->MutableUnknownFields(&part)->AddLengthDelimited(777, std::string(50, 'u'));
  const size_t before = request_.ByteSizeLong();
  EXPECT_EQ(Fault(), "");
  EXPECT_LT(request_.ByteSizeLong(), before - 50);
  EXPECT_TRUE(part.GetReflection()->GetUnknownFields(part).empty());
}

TEST(RequestHashTest, SaysWhetherTwoRequestsAreTheSame) {
  EchoRequest one;
  for (const char* key : {"a", "b", "c", "d", "e"}) (*one.mutable_parts())[key].set_label(key);
  EchoRequest other;
  for (const char* key : {"e", "d", "c", "b", "a"}) (*other.mutable_parts())[key].set_label(key);
  EXPECT_THAT(RequestHash(one), SizeIs(32));
  EXPECT_EQ(RequestHash(one), RequestHash(other));
  other.set_size(1);
  EXPECT_NE(RequestHash(one), RequestHash(other));
  // The same bytes of another type are another request.
  EXPECT_NE(RequestHash(testing::BrowseRequest()), RequestHash(testing::HelpRequest()));
}

TEST(TextRulesTest, EmojiWithVariationSelectorsAreText) {
  std::string heart = "\xE2\x9D\xA4\xEF\xB8\x8F";
  EXPECT_TRUE(NormalizeText(&heart));
}

}  // namespace
}  // namespace handrail::rpc

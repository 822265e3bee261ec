#include "common/base/status.h"

#include <string>
#include <utility>
#include <vector>

#include "common/base/macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace handrail {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

TEST(ErrorTest, CarriesCodeReasonAndMessage) {
  const absl::Status status =
      Error(absl::StatusCode::kFailedPrecondition, reason::kOfferNotOpen).Message("it has ended");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "it has ended");
  EXPECT_EQ(ReasonOf(status), reason::kOfferNotOpen);
  EXPECT_TRUE(HasReason(status, reason::kOfferNotOpen));
  EXPECT_FALSE(HasReason(status, reason::kNotFound));
}

TEST(ErrorTest, TheReasonIsTheMessageWhenNoneIsGiven) {
  const absl::Status status = Error(absl::StatusCode::kNotFound, reason::kNotFound);
  EXPECT_EQ(status.message(), reason::kNotFound);
}

TEST(ErrorTest, EveryDetailComesBack) {
  const absl::Status status = Error(absl::StatusCode::kResourceExhausted, reason::kQueueFull)
                                  .Detail("limit", "5000")
                                  .Detail("device", "")
                                  .Field("message.payload", "at most 64 KiB")
                                  .Field("a/b", "slashes are kept")
                                  .RetryAfter(absl::Milliseconds(1500));
  const ErrorDetails details = DetailsOf(status);
  EXPECT_EQ(details.reason, reason::kQueueFull);
  EXPECT_THAT(details.metadata, UnorderedElementsAre(Pair("limit", "5000"), Pair("device", "")));
  EXPECT_THAT(details.field_violations,
              UnorderedElementsAre(Pair("message.payload", "at most 64 KiB"),
                                   Pair("a/b", "slashes are kept")));
  ASSERT_TRUE(details.retry_after.has_value());
  EXPECT_EQ(*details.retry_after, absl::Milliseconds(1500));
}

TEST(ErrorTest, AStatusOfOthersHasNoReason) {
  const absl::Status status = absl::InternalError("not made by Error");
  EXPECT_EQ(ReasonOf(status), "");
  EXPECT_FALSE(HasReason(status, reason::kNotFound));
  const ErrorDetails details = DetailsOf(status);
  EXPECT_EQ(details.reason, "");
  EXPECT_TRUE(details.metadata.empty());
  EXPECT_TRUE(details.field_violations.empty());
  EXPECT_FALSE(details.retry_after.has_value());
  EXPECT_EQ(ReasonOf(absl::OkStatus()), "");
}

TEST(ErrorTest, PayloadsOfOthersAreNotDetails) {
  absl::Status status = Error(absl::StatusCode::kNotFound, reason::kNotFound);
  status.SetPayload("somewhere.else/reason", absl::Cord("OTHER"));
  const ErrorDetails details = DetailsOf(status);
  EXPECT_EQ(details.reason, reason::kNotFound);
  EXPECT_TRUE(details.metadata.empty());
}

TEST(ErrorTest, ConvertsToStatusOr) {
  const absl::StatusOr<int> result = Error(absl::StatusCode::kNotFound, reason::kNotFound);
  EXPECT_EQ(ReasonOf(result.status()), reason::kNotFound);
}

TEST(FieldErrorTest, NamesTheField) {
  const absl::Status status = FieldError("page_size", "must not be negative");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(HasReason(status, reason::kFieldInvalid));
  EXPECT_THAT(std::string(status.message()), HasSubstr("page_size"));
  EXPECT_THAT(DetailsOf(status).field_violations,
              ElementsAre(Pair("page_size", "must not be negative")));
}

TEST(UnavailableErrorTest, SaysWhenToRetry) {
  const absl::Status status = UnavailableError(reason::kRedisUnavailable, "not now");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  const ErrorDetails details = DetailsOf(status);
  EXPECT_EQ(details.reason, reason::kRedisUnavailable);
  ASSERT_TRUE(details.retry_after.has_value());
  EXPECT_GT(*details.retry_after, absl::ZeroDuration());
}

absl::StatusOr<int> Half(int value) {
  if (value % 2 != 0) return Error(absl::StatusCode::kOutOfRange, reason::kFieldInvalid);
  return value / 2;
}

absl::StatusOr<int> Quarter(int value) {
  ASSIGN_OR_RETURN(const int half, Half(value));
  ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

absl::Status CheckAll(const std::vector<int>& values, int& checked) {
  for (const int value : values) {
    RETURN_IF_ERROR(Quarter(value).status());
    ++checked;
  }
  return absl::OkStatus();
}

TEST(MacrosTest, AssignOrReturnPassesValuesAndKeepsDetails) {
  ASSERT_TRUE(Quarter(12).ok());
  EXPECT_EQ(*Quarter(12), 3);
  EXPECT_TRUE(HasReason(Quarter(6).status(), reason::kFieldInvalid));
}

TEST(MacrosTest, ReturnIfErrorStopsAtTheFirst) {
  int checked = 0;
  EXPECT_TRUE(CheckAll({4, 8}, checked).ok());
  EXPECT_EQ(checked, 2);
  checked = 0;
  EXPECT_EQ(CheckAll({4, 5, 8}, checked).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(checked, 1);
}

}  // namespace
}  // namespace handrail

#include "services/profiles/domain/byte_codec.h"

#include "common/base/big_endian.h"
#include "common/base/status.h"

namespace handrail::profiles {
namespace {

enum class Format : int64_t {
  kDevice = 1,
  kProfile = 2,
  kReceipt = 3,
  kBlock = 4,
  kAudiences = 5,
  kAvoided = 6,
};

class Writer {
 public:
  explicit Writer(Format format) { Int(static_cast<int64_t>(format)); }

  Writer& Int(int64_t value) {
    bytes_ += EightBytes(value);
    return *this;
  }
  Writer& Text(absl::string_view text) {
    Int(static_cast<int64_t>(text.size()));
    bytes_.append(text.data(), text.size());
    return *this;
  }
  Writer& Time(absl::Time time) { return Int(absl::ToUnixMicros(time)); }
  Writer& Time(const std::optional<absl::Time>& time) {
    Int(time.has_value() ? 1 : 0);
    return time.has_value() ? Time(*time) : *this;
  }
  Writer& Text(const std::optional<std::string>& text) {
    Int(text.has_value() ? 1 : 0);
    return text.has_value() ? Text(absl::string_view(*text)) : *this;
  }
  Writer& Audiences(const std::map<std::string, Audience>& audiences) {
    Int(static_cast<int64_t>(audiences.size()));
    for (const auto& [path, audience] : audiences) {
      Text(absl::string_view(path)).Int(static_cast<int64_t>(audience));
    }
    return *this;
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Remembers the first fault; everything read after it is empty.
class Reader {
 public:
  Reader(absl::string_view bytes, Format format) : rest_(bytes) {
    if (Int() != static_cast<int64_t>(format)) ok_ = false;
  }

  int64_t Int() {
    if (!ok_ || rest_.size() < 8) {
      ok_ = false;
      return 0;
    }
    uint64_t bits = 0;
    for (size_t i = 0; i < 8; ++i) bits = (bits << 8) | static_cast<unsigned char>(rest_[i]);
    rest_.remove_prefix(8);
    return static_cast<int64_t>(bits);
  }
  std::string Text() {
    const int64_t size = Int();
    if (!ok_ || size < 0 || static_cast<uint64_t>(size) > rest_.size()) {
      ok_ = false;
      return "";
    }
    std::string text(rest_.substr(0, static_cast<size_t>(size)));
    rest_.remove_prefix(static_cast<size_t>(size));
    return text;
  }
  absl::Time Time() { return absl::FromUnixMicros(Int()); }
  std::optional<absl::Time> OptionalTime() {
    if (Int() == 0) return std::nullopt;
    return Time();
  }
  std::optional<std::string> OptionalText() {
    if (Int() == 0) return std::nullopt;
    return Text();
  }
  template <typename IdType>
  void Id(IdType& id) {
    absl::StatusOr<IdType> parsed = IdType::FromBytes(Text());
    if (parsed.ok()) {
      id = *parsed;
    } else {
      ok_ = false;
    }
  }
  std::map<std::string, Audience> Audiences() {
    std::map<std::string, Audience> audiences;
    const int64_t count = Int();
    for (int64_t i = 0; ok_ && i < count; ++i) {
      std::string path = Text();
      audiences[std::move(path)] = static_cast<Audience>(Int());
    }
    return audiences;
  }
  absl::Status Finish() const {
    if (ok_ && rest_.empty()) return absl::OkStatus();
    return Error(absl::StatusCode::kDataLoss, reason::kDataCorrupt)
        .Message("stored bytes cannot be read");
  }

 private:
  absl::string_view rest_;
  bool ok_ = true;
};

}  // namespace

std::string Encode(const Device& device) {
  return Writer(Format::kDevice)
      .Text(device.id.Bytes())
      .Text(device.member.Bytes())
      .Text(absl::string_view(device.public_key))
      .Time(device.create_time)
      .Time(device.revoke_time)
      .Take();
}

absl::Status Decode(absl::string_view bytes, Device& device) {
  Reader reader(bytes, Format::kDevice);
  reader.Id(device.id);
  reader.Id(device.member);
  device.public_key = reader.Text();
  device.create_time = reader.Time();
  device.revoke_time = reader.OptionalTime();
  return reader.Finish();
}

std::string Encode(const Profile& profile) {
  return Writer(Format::kProfile)
      .Text(profile.member.Bytes())
      .Text(absl::string_view(profile.pseudonym))
      .Text(profile.newcomer)
      .Text(profile.sponsor)
      .Audiences(profile.audiences)
      .Time(profile.attest_time)
      .Int(profile.revision)
      .Time(profile.update_time)
      .Take();
}

absl::Status Decode(absl::string_view bytes, Profile& profile) {
  Reader reader(bytes, Format::kProfile);
  reader.Id(profile.member);
  profile.pseudonym = reader.Text();
  profile.newcomer = reader.OptionalText();
  profile.sponsor = reader.OptionalText();
  profile.audiences = reader.Audiences();
  profile.attest_time = reader.OptionalTime();
  profile.revision = reader.Int();
  profile.update_time = reader.OptionalTime();
  return reader.Finish();
}

std::string Encode(const ConsentReceipt& receipt) {
  return Writer(Format::kReceipt)
      .Text(receipt.id.Bytes())
      .Text(receipt.member.Bytes())
      .Int(static_cast<int64_t>(receipt.purpose))
      .Text(absl::string_view(receipt.notice_version))
      .Text(absl::string_view(receipt.notice_language))
      .Time(receipt.grant_time)
      .Time(receipt.withdraw_time)
      .Take();
}

absl::Status Decode(absl::string_view bytes, ConsentReceipt& receipt) {
  Reader reader(bytes, Format::kReceipt);
  reader.Id(receipt.id);
  reader.Id(receipt.member);
  receipt.purpose = static_cast<ConsentPurpose>(reader.Int());
  receipt.notice_version = reader.Text();
  receipt.notice_language = reader.Text();
  receipt.grant_time = reader.Time();
  receipt.withdraw_time = reader.OptionalTime();
  return reader.Finish();
}

std::string Encode(const Block& block) {
  return Writer(Format::kBlock)
      .Text(block.id.Bytes())
      .Text(block.blocker.Bytes())
      .Text(block.blocked.Bytes())
      .Time(block.create_time)
      .Take();
}

absl::Status Decode(absl::string_view bytes, Block& block) {
  Reader reader(bytes, Format::kBlock);
  reader.Id(block.id);
  reader.Id(block.blocker);
  reader.Id(block.blocked);
  block.create_time = reader.Time();
  return reader.Finish();
}

std::string Encode(const AvoidedMember& avoided) {
  return Writer(Format::kAvoided)
      .Text(avoided.member.Bytes())
      .Text(avoided.other.Bytes())
      .Int(static_cast<int64_t>(avoided.relation))
      .Time(avoided.create_time)
      .Take();
}

absl::Status Decode(absl::string_view bytes, AvoidedMember& avoided) {
  Reader reader(bytes, Format::kAvoided);
  reader.Id(avoided.member);
  reader.Id(avoided.other);
  avoided.relation = static_cast<Relation>(reader.Int());
  avoided.create_time = reader.Time();
  return reader.Finish();
}

std::string EncodeAudiences(const std::map<std::string, Audience>& audiences) {
  return Writer(Format::kAudiences).Audiences(audiences).Take();
}

absl::StatusOr<std::map<std::string, Audience>> DecodeAudiences(absl::string_view bytes) {
  Reader reader(bytes, Format::kAudiences);
  std::map<std::string, Audience> audiences = reader.Audiences();
  RETURN_IF_ERROR(reader.Finish());
  return audiences;
}

}  // namespace handrail::profiles

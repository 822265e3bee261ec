#include "services/messaging/adapters/curl_push_gateway.h"

#include <arpa/inet.h>
#include <curl/curl.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace handrail::messaging {
namespace {

// libcurl takes its numbers as variadic arguments and reads just this type.
using CurlLong = long;  // NOLINT: the type of a foreign interface

constexpr size_t kMostHeaderBytes = 16 << 10;
constexpr size_t kMostBodyBytes = 16 << 10;
constexpr int kPollMilliseconds = 1000;  // it wakes for whatever happens

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// Once a process; thread-safe.
bool StartCurl() {
  static const bool started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return started;
}

std::string PartOf(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK) return "";
  std::string copy(text);
  curl_free(text);
  return copy;
}

bool IsLoopback(const std::string& host) {
  in_addr address{};
  const bool is_number = inet_pton(AF_INET, host.c_str(), &address) == 1;
  return host == "localhost" || host == "[::1]" || (is_number && host.compare(0, 4, "127.") == 0);
}

// Counts what comes and keeps none of it; ends the transfer beyond the bound.
template <size_t kMost>
size_t Discard(char*, size_t size, size_t count, void* seen) {
  size_t& total = *static_cast<size_t*>(seen);
  total += size * count;
  return total > kMost ? 0 : size * count;
}

std::string BodyOf(const PushRequest& request, absl::Time now) {
  const std::string time = absl::FormatTime("%Y-%m-%d%ET%H:%M:%SZ", now, absl::UTCTimeZone());
  return nlohmann::json{
      {"type", "device.wake"}, {"timestamp", time}, {"data", {{"token", request.token}}}}
      .dump();
}

PushOutcome OutcomeOf(int64_t status) {
  if (status >= 200 && status < 300) return PushOutcome::kSent;
  if (status == 410) return PushOutcome::kGone;
  const bool about_request = status == 400 || status == 413 || status == 414 || status == 422;
  return about_request ? PushOutcome::kRefused : PushOutcome::kFailed;
}

}  // namespace

std::string PushGatewayUrlFault(const std::string& url) {
  const std::unique_ptr<CURLU, UrlDeleter> parsed(curl_url());
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) {
    return "is no URL";
  }
  const std::string scheme = PartOf(parsed.get(), CURLUPART_SCHEME);
  const bool local = IsLoopback(PartOf(parsed.get(), CURLUPART_HOST));
  if (scheme != "https" && !(scheme == "http" && local)) {
    return "must begin with https://, or with http:// on this machine";
  }
  for (const CURLUPart part : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_FRAGMENT}) {
    if (!PartOf(parsed.get(), part).empty()) return "must have no user, password or fragment";
  }
  return "";
}

// What lives as long as one request.
struct CurlPushGateway::Transfer {
  std::unique_ptr<CURL, EasyDeleter> easy;
  std::unique_ptr<curl_slist, ListDeleter> headers;
  std::string body;
  size_t header_bytes = 0;
  size_t body_bytes = 0;

  void AddHeader(const std::string& line) {
    curl_slist* longer = curl_slist_append(headers.get(), line.c_str());
    if (longer == nullptr) return;
    (void)headers.release();
    headers.reset(longer);
  }
  PushResult Result(CURLcode code) const {
    CurlLong status = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
    curl_off_t wait_s = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_RETRY_AFTER, &wait_s);
    // A status counts, however long the answer behind it is.
    const bool answered = code == CURLE_OK || (code == CURLE_WRITE_ERROR && status >= 200);
    PushResult result;
    result.outcome = answered ? OutcomeOf(status) : PushOutcome::kFailed;
    if (answered && wait_s > 0) result.retry_after = absl::Seconds(int64_t{wait_s});
    return result;
  }
};

// The connections, which are kept between requests.
struct CurlPushGateway::Multi {
  struct Deleter {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };
  std::unique_ptr<CURLM, Deleter> handle{curl_multi_init()};
};

absl::StatusOr<std::unique_ptr<CurlPushGateway>> CurlPushGateway::Create(Options options,
                                                                         WebhookSigner signer,
                                                                         const Clock& clock) {
  if (!StartCurl()) return absl::InternalError("libcurl cannot start");
  if (const std::string fault = PushGatewayUrlFault(options.url); !fault.empty()) {
    return Error(absl::StatusCode::kInvalidArgument, reason::kConfigurationInvalid)
        .Message(absl::StrCat("the push gateway's URL ", fault));
  }
  return std::unique_ptr<CurlPushGateway>(
      new CurlPushGateway(std::move(options), std::move(signer), clock, std::make_unique<Multi>()));
}

CurlPushGateway::CurlPushGateway(Options options, WebhookSigner signer, const Clock& clock,
                                 std::unique_ptr<Multi> multi)
    : options_(std::move(options)),
      signer_(std::move(signer)),
      clock_(clock),
      multi_(std::move(multi)) {
  CURLM* handle = multi_->handle.get();
  const auto most = static_cast<CurlLong>(options_.connections);
  curl_multi_setopt(handle, CURLMOPT_MAX_TOTAL_CONNECTIONS, most);
  curl_multi_setopt(handle, CURLMOPT_MAXCONNECTS, most);
}

CurlPushGateway::~CurlPushGateway() = default;

std::unique_ptr<CurlPushGateway::Transfer> CurlPushGateway::Begin(const PushRequest& request) {
  auto transfer = std::make_unique<Transfer>();
  transfer->easy.reset(curl_easy_init());
  CURL* easy = transfer->easy.get();
  if (easy == nullptr) return nullptr;
  const absl::Time now = clock_.Now();
  const std::string id = absl::StrCat("push_", request.id.ToString());
  const int64_t seconds = absl::ToUnixSeconds(now);
  transfer->body = BodyOf(request, now);
  transfer->AddHeader("content-type: application/json");
  transfer->AddHeader(absl::StrCat("webhook-id: ", id));
  transfer->AddHeader(absl::StrCat("webhook-timestamp: ", seconds));
  transfer->AddHeader(
      absl::StrCat("webhook-signature: ", signer_.Sign(id, seconds, transfer->body)));
  transfer->AddHeader("expect:");
  const auto set = [easy](CURLoption option, auto value) { curl_easy_setopt(easy, option, value); };
  const auto milliseconds = [](absl::Duration duration) {
    return static_cast<CurlLong>(absl::ToInt64Milliseconds(duration));
  };
  set(CURLOPT_URL, options_.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, absl::StartsWithIgnoreCase(options_.url, "https:") ? "https" : "http");
  set(CURLOPT_HTTPHEADER, transfer->headers.get());
  set(CURLOPT_POSTFIELDSIZE, static_cast<CurlLong>(transfer->body.size()));
  set(CURLOPT_POSTFIELDS, transfer->body.c_str());
  set(CURLOPT_USERAGENT, "handrail");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_PROXY, "");  // whatever the environment says
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(options_.connect_timeout));
  set(CURLOPT_TIMEOUT_MS, milliseconds(options_.timeout));
  set(CURLOPT_SSLVERSION, static_cast<CurlLong>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  if (!options_.ca_file.empty()) set(CURLOPT_CAINFO, options_.ca_file.c_str());
  set(CURLOPT_HEADERFUNCTION, &Discard<kMostHeaderBytes>);
  set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer->header_bytes));
  set(CURLOPT_WRITEFUNCTION, &Discard<kMostBodyBytes>);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer->body_bytes));
  return transfer;
}

void CurlPushGateway::Cancel() {
  cancelled_ = true;
  curl_multi_wakeup(multi_->handle.get());
}

std::vector<PushResult> CurlPushGateway::Push(absl::Span<const PushRequest> requests) {
  std::vector<PushResult> results(requests.size());  // kFailed until it is known better
  CURLM* multi = multi_->handle.get();
  if (multi == nullptr) return results;
  absl::flat_hash_map<CURL*, std::pair<size_t, std::unique_ptr<Transfer>>> under_way;
  size_t next = 0;
  while (!cancelled_ && (next < requests.size() || !under_way.empty())) {
    while (next < requests.size() && under_way.size() < options_.connections) {
      auto transfer = Begin(requests[next]);
      CURL* easy = transfer == nullptr ? nullptr : transfer->easy.get();
      if (easy != nullptr && curl_multi_add_handle(multi, easy) == CURLM_OK) {
        under_way[easy] = {next, std::move(transfer)};
      }
      ++next;
    }
    int running = 0;
    if (curl_multi_perform(multi, &running) != CURLM_OK) break;
    int left = 0;
    bool ended = false;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      const auto found = under_way.find(message->easy_handle);
      if (message->msg != CURLMSG_DONE || found == under_way.end()) continue;
      results[found->second.first] = found->second.second->Result(message->data.result);
      curl_multi_remove_handle(multi, found->first);
      under_way.erase(found);
      ended = true;
    }
    if (!ended && running > 0) curl_multi_poll(multi, nullptr, 0, kPollMilliseconds, nullptr);
  }
  for (const auto& [easy, transfer] : under_way) curl_multi_remove_handle(multi, easy);
  return results;
}

}  // namespace handrail::messaging

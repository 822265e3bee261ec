#include "tools/handrail/demo/script.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/storage/redis.h"
#include "common/testing/seeded_random.h"
#include "tools/handrail/check/ledger_check.h"
#include "tools/handrail/client/words.h"

namespace handrail::tools {
namespace {

using matching::v1::Ticket;
using messaging::v1::MessagingService;

// Short, so that a timeout can be watched; the default is a day.
constexpr char kOfferDeadline[] = "4s";
constexpr Patience kPatience = {.total = absl::Seconds(60), .attempt = absl::Seconds(5)};

// Runs `work(0)` to `work(count - 1)` on 16 threads: one fsync then serves many. The first error.
absl::Status SideBySide(size_t count, const std::function<absl::Status(size_t)>& work) {
  std::atomic<size_t> next = 0;
  Mutex mutex;
  absl::Status first_error;
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&] {
      for (size_t i = next++; i < count; i = next++) {
        const absl::Status status = work(i);
        MutexLock lock(mutex);
        if (first_error.ok()) first_error = status;
        if (!first_error.ok()) return;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return first_error;
}

absl::Status Lost(absl::string_view what) { return absl::DataLossError(what); }

}  // namespace

Demo::Demo(DemoOptions options, Clock& clock, Random& system_random)
    : options_(std::move(options)), clock_(clock), random_(system_random), narrator_(clock) {}

Demo::~Demo() {
  for (auto& sponsor : sponsors_) {
    if (sponsor != nullptr) sponsor->Stop();  // null when not everybody could join
  }
  stop_supervisor_ = true;
  if (supervisor_thread_.joinable()) supervisor_thread_.join();
}

absl::Status Demo::Run() {
  RETURN_IF_ERROR(StartEverything());
  RETURN_IF_ERROR(BringPeople());
  RETURN_IF_ERROR(AskAndMatch());
  RETURN_IF_ERROR(TalkTogether());
  RETURN_IF_ERROR(BreakThings());
  RETURN_IF_ERROR(TalkThroughRestart());
  if (!options_.encrypted.empty()) RETURN_IF_ERROR(TalkEncrypted());
  return CheckLedgers();
}

absl::Status Demo::StartEverything() {
  narrator_.Chapter("Starting three services, a private Redis and SQLite ledgers");
  std::error_code error;
  std::filesystem::remove_all(options_.data_folder, error);
  UpOptions up;
  up.data_folder = options_.data_folder;
  up.port = options_.port;
  up.binary_folder = options_.binary_folder;
  // Nobody in this town is new to sponsoring, or all its sponsors would have one seat; and with
  // such short deadlines nobody is paused for missing some.
  up.matching_flags = {
      "--response_deadline", kOfferDeadline, "--probation", "0", "--missed_offers_limit", "0"};
  // A whole town signs in from one address here.
  up.service_flags = {"--rate_limit_scale", "1000"};
  ASSIGN_OR_RETURN(supervisor_, Supervisor::Create(up));
  RETURN_IF_ERROR(supervisor_->Start());
  ASSIGN_OR_RETURN(services_, Services::Create(supervisor_->endpoints()));
  supervisor_thread_ =
      std::thread([this] { supervisor_->Run([this] { return stop_supervisor_.load(); }); });
  narrator_.Say(absl::StrCat("ready; an offer waits ", kOfferDeadline,
                             " for its answer here instead of a day"));
  return absl::OkStatus();
}

absl::Status Demo::BringPeople() {
  narrator_.Chapter("People arrive");
  ASSIGN_OR_RETURN(const Directory directory, ReadSampleDirectory(options_.sample));
  testing::SeededRandom draw(options_.seed);
  const absl::CivilDay today = absl::ToCivilDay(clock_.Now(), absl::UTCTimeZone());
  Population population =
      DrawPopulation(directory, draw, today, options_.newcomers, options_.sponsors);
  narrator_.Say(absl::StrCat("places, languages, zones and hours of ", directory.meetings.size(),
                             " meetings, from ", directory.source));
  sponsors_.resize(population.sponsors.size());
  RETURN_IF_ERROR(SideBySide(sponsors_.size(), [&](size_t i) -> absl::Status {
    ASSIGN_OR_RETURN(sponsors_[i],
                     SponsorActor::Join(*services_, clock_, random_,
                                        std::move(population.sponsors[i]), narrator_, tally_));
    return absl::OkStatus();
  }));
  newcomers_.resize(population.newcomers.size());
  std::atomic<size_t> joined = 0;
  RETURN_IF_ERROR(SideBySide(newcomers_.size(), [&](size_t i) -> absl::Status {
    ASSIGN_OR_RETURN(newcomers_[i], NewcomerActor::Join(*services_, clock_, random_,
                                                        std::move(population.newcomers[i])));
    if (++joined % 50 == 0) {
      narrator_.Say(absl::StrCat(joined.load(), " of ", options_.newcomers,
                                 " newcomers have a device key, a profile and consents"));
    }
    return absl::OkStatus();
  }));
  int seats = 0;
  for (auto& sponsor : sponsors_) {
    seats += sponsor->plan().capacity;
  }
  RETURN_IF_ERROR(SideBySide(sponsors_.size(), [&](size_t i) { return sponsors_[i]->Open(); }));
  narrator_.Say(absl::StrCat(newcomers_.size(), " newcomers and ", sponsors_.size(),
                             " sponsors with ", seats, " seats; ", population.programs,
                             " programs, ", population.languages, " languages, ", population.zones,
                             " time zones"));
  return absl::OkStatus();
}

std::string Demo::Counts() const {
  std::map<matching::v1::TicketState, int> by_state;
  for (const auto& newcomer : newcomers_) {
    if (newcomer->asked()) ++by_state[newcomer->ticket().state()];
  }
  return absl::StrFormat(
      "waiting %3d   offered %3d   paired %3d   | offers %d, accepted %d, passed "
      "on %d, timed out %d",
      by_state[matching::v1::TICKET_STATE_WAITING], by_state[matching::v1::TICKET_STATE_OFFERED],
      by_state[matching::v1::TICKET_STATE_PAIRED], tally_.offers.load(), tally_.accepted.load(),
      tally_.declined.load(), tally_.timed_out.load());
}

absl::Status Demo::LookAtEveryone() {
  for (auto& newcomer : newcomers_) {
    if (!newcomer->asked() || !newcomer->waits()) continue;
    RETURN_IF_ERROR(newcomer->Look());
  }
  return absl::OkStatus();
}

absl::Status Demo::WaitUntil(absl::Duration timeout, const std::function<bool()>& done,
                             absl::string_view what) {
  const absl::Time give_up = clock_.Now() + timeout;
  absl::Time next_line = clock_.Now();
  while (true) {
    RETURN_IF_ERROR(LookAtEveryone());
    if (done()) return absl::OkStatus();
    if (clock_.Now() > give_up) {
      narrator_.Say(Counts());
      return absl::DeadlineExceededError(absl::StrCat("waited in vain for ", what));
    }
    if (clock_.Now() >= next_line) {
      narrator_.Say(Counts());
      next_line = clock_.Now() + absl::Seconds(1);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

absl::Status Demo::AskAndMatch() {
  narrator_.Chapter("Newcomers ask; each ticket is put before one sponsor at a time");
  const size_t first_half = newcomers_.size() * 6 / 10;
  for (size_t i = 0; i < first_half; ++i) RETURN_IF_ERROR(newcomers_[i]->Ask());
  RETURN_IF_ERROR(WaitUntil(
      absl::Seconds(60),
      [this] { return tally_.timed_out > 0 && tally_.declined > 0 && tally_.full > 0; },
      "a timeout, an offer passed on and a sponsor with all seats taken"));
  narrator_.Say(Counts());
  return absl::OkStatus();
}

NewcomerActor* Demo::AnyPaired() {
  for (auto& newcomer : newcomers_) {
    if (!newcomer->asked() || newcomer->ticket().state() != matching::v1::TICKET_STATE_PAIRED) {
      continue;
    }
    if (newcomer->ticket().conversation().empty()) (void)newcomer->Look();
    if (!newcomer->ticket().conversation().empty()) return newcomer.get();
  }
  return nullptr;
}

SponsorActor* Demo::SponsorOf(NewcomerActor& newcomer) {
  for (auto& sponsor : sponsors_) {
    for (const std::string& pairing : sponsor->Pairings()) {
      if (pairing == newcomer.ticket().pairing()) return sponsor.get();
    }
  }
  return nullptr;
}

absl::Status Demo::Kill(const std::string& service) {
  ASSIGN_OR_RETURN(const Endpoints endpoints, ReadEndpoints(options_.data_folder));
  kill(endpoints.pids.at(service), SIGKILL);
  narrator_.Say(absl::StrCat("*** kill -9 ", service));
  return absl::OkStatus();
}

absl::Status Demo::FlushRedis() {
  storage::RedisOptions redis_options;
  redis_options.url = supervisor_->endpoints().redis_url;
  ASSIGN_OR_RETURN(auto redis, storage::ConnectRedis(redis_options));
  RETURN_IF_ERROR(redis->Command(clock_.Now() + absl::Seconds(5), {"FLUSHALL"}).status());
  narrator_.Say("*** FLUSHALL: Redis has forgotten every queue");
  return absl::OkStatus();
}

absl::Status Demo::BreakThings() {
  narrator_.Chapter("The rest ask while matching is killed and Redis is emptied");
  const size_t first_half = newcomers_.size() * 6 / 10;
  const size_t rest = newcomers_.size() - first_half;
  for (size_t i = 0; i < rest; ++i) {
    if (i == rest / 4) RETURN_IF_ERROR(Kill("matching"));
    if (i == rest / 2) RETURN_IF_ERROR(FlushRedis());
    if (i == rest * 3 / 4) RETURN_IF_ERROR(Kill("matching"));
    // Repeated under one request id until it is acknowledged.
    RETURN_IF_ERROR(newcomers_[first_half + i]->Ask());
  }
  narrator_.Say(absl::StrCat("all ", newcomers_.size(), " requests are acknowledged"));
  // Quiet when no offer is open: every free seat has looked for a ticket, and what still waits has
  // nobody suitable with a free seat.
  int quiet_looks = 0;
  RETURN_IF_ERROR(WaitUntil(
      absl::Seconds(60),
      [this, &quiet_looks] {
        for (const auto& newcomer : newcomers_) {
          if (newcomer->ticket().state() == matching::v1::TICKET_STATE_OFFERED) {
            quiet_looks = 0;
            // Those who never answer keep their offers going round; enough is enough.
            return tally_.timed_out >= 12;
          }
        }
        return ++quiet_looks >= 8;
      },
      "quiet"));
  narrator_.Say(Counts());
  int lost = 0;
  for (auto& newcomer : newcomers_) {
    RETURN_IF_ERROR(newcomer->Look());
    const auto state = newcomer->ticket().state();
    if (state != matching::v1::TICKET_STATE_WAITING &&
        state != matching::v1::TICKET_STATE_OFFERED && state != matching::v1::TICKET_STATE_PAIRED) {
      ++lost;
    }
  }
  if (lost > 0) return Lost(absl::StrCat(lost, " tickets are in no state of the diagram"));
  narrator_.Say(absl::StrCat("every one of the ", newcomers_.size(),
                             " acknowledged requests is there: waiting, offered or paired"));
  return absl::OkStatus();
}

absl::Status Demo::TalkTogether() {
  narrator_.Chapter("Two people talk (with a client that does not encrypt)");
  NewcomerActor* newcomer = nullptr;
  SponsorActor* sponsor = nullptr;
  RETURN_IF_ERROR(WaitUntil(
      absl::Seconds(30),
      [&] {
        newcomer = AnyPaired();
        sponsor = newcomer == nullptr ? nullptr : SponsorOf(*newcomer);
        return sponsor != nullptr;
      },
      "a pairing with a conversation"));
  const std::string conversation = newcomer->ticket().conversation();
  messaging::v1::SendMessageRequest send;
  send.set_conversation(conversation);
  send.set_message_id(sponsor->person().NewRequestId());
  send.set_payload("Hello, and welcome. When is a good time to call?");
  ASSIGN_OR_RETURN(const auto sent,
                   sponsor->person().Call(services_->messaging(),
                                          &MessagingService::Stub::SendMessage, send, kPatience));
  narrator_.Say(absl::StrCat(sponsor->plan().label, " sends ", send.payload().size(),
                             " bytes: stored as message ", sent.sequence()));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(clock_.Now() + absl::Seconds(20)));
  RETURN_IF_ERROR(newcomer->person().Authorize(context));
  auto stream = services_->messaging().Subscribe(&context, messaging::v1::SubscribeRequest());
  messaging::v1::SubscribeResponse event;
  bool delivered = false;
  while (!delivered && stream->Read(&event)) {
    delivered = event.has_envelope() && event.envelope().message_id() == send.message_id() &&
                event.envelope().payload() == send.payload();
  }
  context.TryCancel();
  if (!delivered) return Lost("the message did not reach the newcomer's stream");
  messaging::v1::AckMessagesRequest ack;
  auto* cursor = ack.add_cursors();
  cursor->set_conversation(conversation);
  cursor->set_after_sequence(sent.sequence());
  RETURN_IF_ERROR(
      newcomer->person()
          .Call(services_->messaging(), &MessagingService::Stub::AckMessages, ack, kPatience)
          .status());
  narrator_.Say(absl::StrCat(newcomer->plan().label, " receives it on a stream and acknowledges ",
                             sent.sequence()));
  return absl::OkStatus();
}

absl::Status Demo::TalkThroughRestart() {
  narrator_.Chapter("Forty messages while messaging is killed twice");
  NewcomerActor* newcomer = AnyPaired();
  if (newcomer == nullptr) return Lost("no pairing with a conversation");
  messaging::v1::FetchMessagesRequest fetch;
  fetch.set_conversation(newcomer->ticket().conversation());
  std::map<int64_t, std::string> acknowledged;
  for (int i = 0; i < 40; ++i) {
    if (i == 12 || i == 28) RETURN_IF_ERROR(Kill("messaging"));
    messaging::v1::SendMessageRequest send;
    send.set_conversation(newcomer->ticket().conversation());
    send.set_message_id(newcomer->person().NewRequestId());
    send.set_payload(absl::StrCat("message ", i));
    ASSIGN_OR_RETURN(const auto sent, newcomer->person().Call(services_->messaging(),
                                                              &MessagingService::Stub::SendMessage,
                                                              send, kPatience));
    if (!acknowledged.emplace(sent.sequence(), send.message_id()).second) {
      return Lost("two messages were acknowledged with one sequence");
    }
  }
  std::map<int64_t, std::string> stored;
  bool more = true;
  while (more) {
    ASSIGN_OR_RETURN(
        const auto page,
        newcomer->person().Call(services_->messaging(), &MessagingService::Stub::FetchMessages,
                                fetch, kPatience));
    for (const auto& envelope : page.envelopes()) {
      stored[envelope.sequence()] = envelope.message_id();
      fetch.set_after_sequence(envelope.sequence());
    }
    more = page.has_more();
  }
  for (const auto& [sequence, message_id] : acknowledged) {
    const auto found = stored.find(sequence);
    if (found == stored.end() || found->second != message_id) {
      return Lost(absl::StrCat("acknowledged message ", sequence, " is not there"));
    }
  }
  narrator_.Say(absl::StrCat("all 40 acknowledged messages are there, once, in order, up to ",
                             stored.rbegin()->first));
  return absl::OkStatus();
}

absl::Status Demo::TalkEncrypted() {
  // Tells its chapters by itself, on the same clock. Each of its steps has a deadline.
  std::string began =
      absl::StrFormat("%.3f", absl::ToDoubleSeconds(narrator_.start() - absl::UnixEpoch()));
  std::string script = options_.encrypted;
  std::string data = options_.data_folder;
  char* arguments[] = {script.data(), data.data(), began.data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawn(&child, script.c_str(), nullptr, nullptr, arguments, environ);
  if (error != 0) {
    return absl::UnavailableError(absl::StrCat(script, ": ", std::strerror(error)));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return absl::InternalError(std::strerror(errno));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return Lost("the encrypted conversation; what is printed above says how");
}

absl::Status Demo::CheckLedgers() {
  narrator_.Chapter("What must hold, checked in the ledgers themselves");
  for (auto& sponsor : sponsors_) sponsor->Stop();
  stop_supervisor_ = true;
  supervisor_thread_.join();
  ASSIGN_OR_RETURN(const Layout layout, MakeLayout(options_.data_folder));
  supervisor_.reset();  // stops everything, in order
  ASSIGN_OR_RETURN(const LedgerReport report,
                   CheckLedgerFiles(layout.Database("matching"), layout.Database("messaging")));
  for (const std::string& line : report.lines) narrator_.Say(line);
  for (const auto& newcomer : newcomers_) {
    if (!newcomer->asked()) return Lost("a newcomer never got to ask");
  }
  if (report.violations > 0) {
    return Lost(absl::StrCat(report.violations, " violations of what must hold"));
  }
  narrator_.Say(absl::StrCat(newcomers_.size(), " people asked, ", newcomers_.size(),
                             " are accounted for, ", tally_.accepted.load(),
                             " pairings were accepted, 0 lost, 0 violations"));
  return absl::OkStatus();
}

}  // namespace handrail::tools

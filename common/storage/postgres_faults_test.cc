// What only the PostgreSQL backend promises, on a real server that is stopped, killed and cut off.

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/storage/database.h"
#include "common/testing/temporary_directory.h"
#include "common/testing/temporary_postgres.h"
#include "gtest/gtest.h"

namespace handrail::storage {
namespace {

using handrail::testing::TemporaryDirectory;
using handrail::testing::TemporaryPostgres;

absl::Time Soon() { return SystemClock().Now() + absl::Seconds(20); }

// Stands between a client and a server's Unix socket, and cuts the connection when the client sends
// a given statement, once.
class CuttingProxy {
 public:
  enum class Cut { kBeforeForwarding, kAfterForwarding };

  explicit CuttingProxy(const std::string& server_directory)
      : server_(server_directory + "/.s.PGSQL.5432") {
    listener_ = socket(AF_UNIX, SOCK_STREAM, 0);
    const sockaddr_un address = Address(directory_.File(".s.PGSQL.5432"));
    EXPECT_EQ(bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    acceptor_ = std::thread([this] { Accept(); });
  }
  ~CuttingProxy() {
    stopping_ = true;
    acceptor_.join();
    for (std::thread& thread : links_) thread.join();
    close(listener_);
  }

  std::string url() const {
    return absl::StrCat("postgres:///handrail?user=handrail&host=", directory_.path());
  }
  // `text` must outlive the proxy.
  void CutAt(const char* text, Cut cut) {
    cut_ = cut;
    text_ = text;
  }
  int cuts() const { return cuts_; }

 private:
  static sockaddr_un Address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    return address;
  }

  void Accept() {
    while (!stopping_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (poll(&waiting, 1, 20) != 1) continue;
      const int client = accept(listener_, nullptr, nullptr);
      links_.emplace_back([this, client] { Link(client); });
    }
  }

  void Link(int client) {
    const int server = socket(AF_UNIX, SOCK_STREAM, 0);
    const sockaddr_un address = Address(server_);
    if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      while (!stopping_ && Forward(client, server)) {
      }
    }
    close(server);
    close(client);
  }

  // One round of forwarding; false when the link is over.
  bool Forward(int client, int server) {
    pollfd sockets[] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    poll(sockets, 2, 20);
    char buffer[65536];
    if (sockets[1].revents != 0) {
      const ssize_t size = read(server, buffer, sizeof(buffer));
      if (size <= 0 || write(client, buffer, static_cast<size_t>(size)) != size) return false;
    }
    if (sockets[0].revents == 0) return true;
    const ssize_t size = read(client, buffer, sizeof(buffer));
    if (size <= 0) return false;
    // A statement ends with a zero byte, so that COMMIT is not found in READ COMMITTED.
    const std::string text = absl::StrCat(text_.load(), absl::string_view("", 1));
    const bool cut =
        text.size() > 1 &&
        absl::string_view(buffer, static_cast<size_t>(size)).find(text) != absl::string_view::npos;
    if (cut && cut_ == Cut::kBeforeForwarding) {
      ++cuts_;
      text_ = "";
      return false;
    }
    if (write(server, buffer, static_cast<size_t>(size)) != size) return false;
    if (!cut) return true;
    // The server has answered, so it has done it; nobody hears the answer.
    if (read(server, buffer, sizeof(buffer)) <= 0) ADD_FAILURE() << "the server closed first";
    ++cuts_;
    text_ = "";
    return false;
  }

  const std::string server_;
  const TemporaryDirectory directory_;
  int listener_ = -1;
  std::atomic<bool> stopping_{false};
  std::atomic<const char*> text_{""};
  std::atomic<Cut> cut_{Cut::kBeforeForwarding};
  std::atomic<int> cuts_{0};
  std::thread acceptor_;
  std::vector<std::thread> links_;  // the acceptor's, then the destructor's
};

class PostgresFaultsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = TemporaryPostgres::Start();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::unique_ptr<Database> Open(const std::string& url) {
    DatabaseOptions options{.url = url};
    options.connections = 4;
    auto database = OpenDatabase(options);
    EXPECT_TRUE(database.ok()) << database.status();
    if (!database.ok()) return nullptr;
    return *std::move(database);
  }

  std::unique_ptr<Database> OpenWithTable(const std::string& url) {
    auto database = Open(url);
    EXPECT_TRUE(
        database->Migrate({{"0001", {"CREATE TABLE t (id {int} NOT NULL PRIMARY KEY)"}}}).ok());
    return database;
  }

  static absl::Status Put(Database& database, int64_t id) {
    return database.Write(Soon(), [&](Transaction& tx) {
      return tx.Execute("INSERT INTO t (id) VALUES ($1)", {id}).status();
    });
  }

  static int64_t Count(Database& database) {
    int64_t count = -1;
    const absl::Status status = database.Read(Soon(), [&](Transaction& tx) -> absl::Status {
      ASSIGN_OR_RETURN(const Rows rows, tx.Query("SELECT COUNT(*) FROM t", {}));
      count = rows.front().Int(0);
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return count;
  }

  std::unique_ptr<TemporaryPostgres> server_;
};

TEST_F(PostgresFaultsTest, ARestartOfTheServerHeals) {
  const auto database = OpenWithTable(server_->url());
  ASSERT_TRUE(Put(*database, 1).ok());
  server_->Stop(TemporaryPostgres::StopMode::kFast);
  const absl::Status down = Put(*database, 2);
  EXPECT_TRUE(absl::IsUnavailable(down)) << down;
  EXPECT_TRUE(HasReason(down, reason::kDatabaseUnavailable)) << down;
  EXPECT_TRUE(DetailsOf(down).retry_after.has_value());
  ASSERT_TRUE(server_->Restart().ok());
  // A pause between attempts to connect may still run; its end is waited for, not slept through.
  absl::Status up = Put(*database, 3);
  for (const absl::Time end = Soon(); !up.ok() && SystemClock().Now() < end;)
    up = Put(*database, 3);
  EXPECT_TRUE(up.ok()) << up;
  EXPECT_EQ(Count(*database), 2);
}

TEST_F(PostgresFaultsTest, IdleConnectionsThatDiedAreReplacedUnseen) {
  const auto database = OpenWithTable(server_->url());
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&, i] { EXPECT_TRUE(Put(*database, i).ok()); });
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(server_->Restart().ok());
  for (int i = 8; i < 16; ++i) {
    const absl::Status status = Put(*database, i);
    EXPECT_TRUE(status.ok()) << status;
  }
  EXPECT_EQ(Count(*database), 16);
}

TEST_F(PostgresFaultsTest, NothingAcknowledgedIsLostWhenTheServerIsKilled) {
  const auto database = OpenWithTable(server_->url());
  std::atomic<bool> stop{false};
  std::atomic<int64_t> next{0};
  std::atomic<int64_t> acknowledged{0};
  std::atomic<int64_t> unknown{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        const absl::Status status = Put(*database, next++);
        if (status.ok()) {
          ++acknowledged;
        } else if (HasReason(status, reason::kOutcomeUnknown)) {
          ++unknown;
        } else {
          EXPECT_TRUE(absl::IsUnavailable(status)) << status;
        }
      }
    });
  }
  for (int round = 1; round <= 3; ++round) {
    const int64_t goal = acknowledged + 200;
    const absl::Time end = Soon();
    while (acknowledged < goal && SystemClock().Now() < end) std::this_thread::yield();
    EXPECT_GE(acknowledged.load(), goal) << "did not come back, round " << round;
    server_->Stop(TemporaryPostgres::StopMode::kImmediate);
    ASSERT_TRUE(server_->Restart().ok());
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  const int64_t stored = Count(*database);
  EXPECT_GE(stored, acknowledged.load());
  EXPECT_LE(stored, acknowledged + unknown);
}

TEST_F(PostgresFaultsTest, AConnectionCutBeforeTheCommitIsRetried) {
  CuttingProxy proxy(server_->socket_directory());
  const auto database = OpenWithTable(proxy.url());
  for (const auto cut :
       {CuttingProxy::Cut::kBeforeForwarding, CuttingProxy::Cut::kAfterForwarding}) {
    proxy.CutAt("INSERT INTO t (id) VALUES ($1)", cut);
    const absl::Status status = Put(*database, proxy.cuts());
    EXPECT_TRUE(status.ok()) << status;
  }
  EXPECT_EQ(proxy.cuts(), 2);
  EXPECT_EQ(Count(*database), 2);
  EXPECT_EQ(database->Stats().retries, 2);
}

TEST_F(PostgresFaultsTest, AConnectionCutAtTheCommitIsAnUnknownOutcome) {
  CuttingProxy proxy(server_->socket_directory());
  const auto database = OpenWithTable(proxy.url());
  proxy.CutAt("COMMIT", CuttingProxy::Cut::kBeforeForwarding);
  const absl::Status lost = Put(*database, 1);
  EXPECT_TRUE(absl::IsUnavailable(lost)) << lost;
  EXPECT_TRUE(HasReason(lost, reason::kOutcomeUnknown)) << lost;
  EXPECT_EQ(Count(*database), 0);
  proxy.CutAt("COMMIT", CuttingProxy::Cut::kAfterForwarding);
  const absl::Status kept = Put(*database, 2);
  EXPECT_TRUE(HasReason(kept, reason::kOutcomeUnknown)) << kept;
  EXPECT_EQ(Count(*database), 1);
  EXPECT_EQ(proxy.cuts(), 2);
  EXPECT_TRUE(Put(*database, 3).ok()) << "heals by itself";
}

TEST_F(PostgresFaultsTest, AStatementThatTravelsWithTheCommitIsAsUncertainAsIt) {
  CuttingProxy proxy(server_->socket_directory());
  const auto database = OpenWithTable(proxy.url());
  const auto put_later = [&](int64_t id) {
    return database->Write(
        Soon(), [id](Transaction& tx) { return tx.Later("INSERT INTO t (id) VALUES ($1)", {id}); });
  };
  proxy.CutAt("INSERT INTO t (id) VALUES ($1)", CuttingProxy::Cut::kBeforeForwarding);
  const absl::Status lost = put_later(1);
  EXPECT_TRUE(HasReason(lost, reason::kOutcomeUnknown)) << lost;
  EXPECT_EQ(Count(*database), 0);
  proxy.CutAt("COMMIT", CuttingProxy::Cut::kAfterForwarding);
  const absl::Status kept = put_later(2);
  EXPECT_TRUE(HasReason(kept, reason::kOutcomeUnknown)) << kept;
  EXPECT_EQ(Count(*database), 1);
  EXPECT_EQ(proxy.cuts(), 2);
  EXPECT_TRUE(put_later(3).ok()) << "heals by itself";
}

TEST_F(PostgresFaultsTest, WhatIsRefusedBeforeTheCommitIsKnownNotToBeThere) {
  const auto database = OpenWithTable(server_->url());
  // The server ends the session at the statement, so that COMMIT behind it never runs.
  int64_t runs = 0;
  const absl::Status status = database->Write(Soon(), [&](Transaction& tx) -> absl::Status {
    RETURN_IF_ERROR(tx.Later("INSERT INTO t (id) VALUES ($1)", {++runs}));
    if (runs > 1) return absl::OkStatus();
    return tx.Later("SELECT pg_terminate_backend(pg_backend_pid())", {});
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(runs, 2) << "run again";
  EXPECT_EQ(Count(*database), 1);
}

TEST_F(PostgresFaultsTest, ADeadlockOfStatementsThatTravelWithTheCommitIsResolved) {
  const auto database = OpenWithTable(server_->url());
  ASSERT_TRUE(Put(*database, 1).ok());
  ASSERT_TRUE(Put(*database, 2).ok());
  std::atomic<int> holding{0};
  const auto touch_both = [&](int64_t first, int64_t second) {
    const absl::Status status = database->Write(Soon(), [&](Transaction& tx) -> absl::Status {
      RETURN_IF_ERROR(tx.Query("SELECT id FROM t WHERE id = $1 {for_update}", {first}).status());
      ++holding;
      while (holding < 2) std::this_thread::yield();
      return tx.Later("UPDATE t SET id = id WHERE id = $1", {second});
    });
    EXPECT_TRUE(status.ok()) << status;
  };
  std::thread one([&] { touch_both(1, 2); });
  std::thread two([&] { touch_both(2, 1); });
  one.join();
  two.join();
  EXPECT_GE(database->Stats().retries, 1);
}

TEST_F(PostgresFaultsTest, AServerThatIsDownAtOpenHealsLater) {
  server_->Stop(TemporaryPostgres::StopMode::kFast);
  const auto database = Open(server_->url());
  ASSERT_NE(database, nullptr);
  const Migration migration{"0001", {"CREATE TABLE t (id {int} NOT NULL PRIMARY KEY)"}};
  EXPECT_TRUE(absl::IsUnavailable(database->Migrate({migration})));
  ASSERT_TRUE(server_->Restart().ok());
  absl::Status status = database->Migrate({migration});
  for (const absl::Time end = Soon(); !status.ok() && SystemClock().Now() < end;) {
    status = database->Migrate({migration});
  }
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(Put(*database, 1).ok());
}

TEST_F(PostgresFaultsTest, ADeadlineEndsALongStatementAndItsLocks) {
  const auto database = OpenWithTable(server_->url());
  const absl::Status status = database->Write(
      SystemClock().Now() + absl::Milliseconds(100), [](Transaction& tx) -> absl::Status {
        RETURN_IF_ERROR(tx.Execute("INSERT INTO t (id) VALUES (1)", {}).status());
        return tx.Query("SELECT pg_sleep(60)", {}).status();
      });
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  // The server lets go of the row when it notices that the client has left.
  const absl::Time begin = SystemClock().Now();
  EXPECT_TRUE(Put(*database, 1).ok());
  EXPECT_LT(SystemClock().Now() - begin, absl::Seconds(15));
}

TEST_F(PostgresFaultsTest, DeadlocksAreResolvedByRetrying) {
  const auto database = OpenWithTable(server_->url());
  ASSERT_TRUE(Put(*database, 1).ok());
  ASSERT_TRUE(Put(*database, 2).ok());
  std::atomic<int> holding{0};
  const auto lock_both = [&](int64_t first, int64_t second) {
    const absl::Status status = database->Write(Soon(), [&](Transaction& tx) -> absl::Status {
      constexpr absl::string_view kLock = "SELECT id FROM t WHERE id = $1 {for_update}";
      RETURN_IF_ERROR(tx.Query(kLock, {first}).status());
      ++holding;
      while (holding < 2) std::this_thread::yield();
      return tx.Query(kLock, {second}).status();
    });
    EXPECT_TRUE(status.ok()) << status;
  };
  std::thread one([&] { lock_both(1, 2); });
  std::thread two([&] { lock_both(2, 1); });
  one.join();
  two.join();
  EXPECT_GE(database->Stats().retries, 1);
}

TEST(PostgresDurabilityTest, UnsafeSettingsAreRefused) {
  for (const char* setting :
       {"fsync = off", "synchronous_commit = off", "full_page_writes = off"}) {
    auto server = TemporaryPostgres::Start({.settings = {setting}, .data_parent = ""});
    ASSERT_TRUE(server.ok()) << server.status();
    const auto database = OpenDatabase({.url = (*server)->url()});
    EXPECT_TRUE(absl::IsInvalidArgument(database.status())) << setting << database.status();
    EXPECT_TRUE(HasReason(database.status(), reason::kConfigurationInvalid));
  }
}

TEST(PostgresDurabilityTest, BadUrlsAreRefusedWithoutShowingThePassword) {
  const auto database = OpenDatabase({.url = "postgres://u:verysecret@h:5432/d?nonsense=1"});
  EXPECT_TRUE(absl::IsInvalidArgument(database.status())) << database.status();
  EXPECT_EQ(database.status().ToString().find("verysecret"), std::string::npos);
}

}  // namespace
}  // namespace handrail::storage

#include "common/rpc/stream_writer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "common/rpc/status_conversion.h"
#include "common/rpc/testing/test_host.h"

namespace handrail::rpc {
namespace {

using testing::ChatRequest;
using testing::ChatResponse;
using testing::ChatStream;
using testing::TestHost;
using testing::WaitUntil;
using testing::WatchRequest;
using testing::WatchResponse;
using testing::WatchStream;

constexpr absl::Duration kTimeout = absl::Seconds(20);

WatchResponse Numbered(int64_t number) {
  WatchResponse response;
  response.set_number(number);
  return response;
}

TEST(StreamWriterTest, WritesInOrderThenCloses) {
  std::atomic<int> done{0};
  TestHost::Options options = TestHost::DefaultOptions();
  options.behaviour.stream_done = [&] { ++done; };
  options.behaviour.watch = [](std::shared_ptr<WatchStream> stream, const WatchRequest& request) {
    for (int i = 1; i <= request.count(); ++i) EXPECT_TRUE(stream->TryWrite(Numbered(i)));
    stream->Close(Error(absl::StatusCode::kAborted, reason::kStreamReplaced));
    EXPECT_FALSE(stream->TryWrite(Numbered(0)));
    EXPECT_TRUE(stream->IsClosed());
  };
  TestHost host(std::move(options));
  const auto context = MakeMemberContext(kTimeout, host.Token());
  WatchRequest request;
  request.set_count(100);
  const auto reader = host.Stub()->Watch(context.get(), request);
  WatchResponse response;
  for (int i = 1; i <= 100; ++i) {
    ASSERT_TRUE(reader->Read(&response));
    EXPECT_EQ(response.number(), i);
  }
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(ReasonOf(FromGrpcStatus(reader->Finish())), reason::kStreamReplaced);
  EXPECT_TRUE(WaitUntil([&] { return done == 1; }));
}

TEST(StreamWriterTest, AStreamThatIsNotAdmittedGetsTheReason) {
  TestHost host;
  const auto context = MakeContext(kTimeout);
  const auto reader = host.Stub()->Watch(context.get(), {});
  WatchResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(ReasonOf(FromGrpcStatus(reader->Finish())), reason::kTokenMissing);
  const auto chat_context = MakeContext(kTimeout);
  const auto chat = host.Stub()->Chat(chat_context.get());
  EXPECT_EQ(ReasonOf(FromGrpcStatus(chat->Finish())), reason::kTokenMissing);
}

TEST(StreamWriterTest, AFullQueueSaysSoAndTellsWhenThereIsRoom) {
  std::atomic<int> writable{0};
  std::atomic<bool> refused{false};
  std::shared_ptr<WatchStream> kept;
  TestHost::Options options = TestHost::DefaultOptions();
  options.behaviour.watch_options = [&](StreamOptions<WatchResponse>* stream) {
    stream->queue_limit = 8;
    stream->on_writable = [&] { ++writable; };
  };
  options.behaviour.watch = [&](std::shared_ptr<WatchStream> stream, const WatchRequest&) {
    for (int i = 0; i < 100 && !refused; ++i) refused = !stream->TryWrite(Numbered(i));
    EXPECT_FALSE(stream->IsClosed());
    kept = stream;
  };
  TestHost host(std::move(options));
  const auto context = MakeMemberContext(kTimeout, host.Token());
  const auto reader = host.Stub()->Watch(context.get(), {});
  WatchResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_TRUE(refused);
  EXPECT_TRUE(WaitUntil([&] { return writable == 1; }));
  EXPECT_TRUE(kept->TryWrite(Numbered(1)));
  kept->Close();
  while (reader->Read(&response)) {
  }
  EXPECT_TRUE(reader->Finish().ok());
  kept = nullptr;
}

TEST(StreamWriterTest, PingsAndEndsByItsAge) {
  TestHost::Options options = TestHost::DefaultOptions();
  options.behaviour.watch_options = [&](StreamOptions<WatchResponse>* stream) {
    stream->ping_interval = absl::Milliseconds(20);
    stream->lifetime = absl::Milliseconds(500);
    stream->ping = [] {
      WatchResponse ping;
      ping.set_ping(true);
      return ping;
    };
  };
  TestHost host(std::move(options));
  const auto context = MakeMemberContext(kTimeout, host.Token());
  const auto reader = host.Stub()->Watch(context.get(), {});
  int pings = 0;
  WatchResponse response;
  WatchResponse last;
  while (reader->Read(&response)) {
    if (response.ping()) ++pings;
    last = response;
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_GE(pings, 3);
  EXPECT_TRUE(last.closing());
}

TEST(StreamWriterTest, ADrainClosesWithAHint) {
  TestHost::Options options = TestHost::DefaultOptions();
  options.behaviour.watch = [](std::shared_ptr<WatchStream> stream, const WatchRequest&) {
    stream->TryWrite(Numbered(1));
  };
  TestHost host(std::move(options));
  const auto context = MakeMemberContext(kTimeout, host.Token());
  const auto reader = host.Stub()->Watch(context.get(), {});
  WatchResponse response;
  ASSERT_TRUE(reader->Read(&response));  // the stream is open before the drain begins
  std::thread drain([&host] { host.host->Drain(); });
  EXPECT_TRUE(reader->Read(&response));
  EXPECT_TRUE(response.closing());
  EXPECT_LE(response.retry_after_ms(), 2000);
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_TRUE(reader->Finish().ok());
  drain.join();
}

TEST(StreamWriterTest, OneCallerHasOnlySoManyStreams) {
  TestHost::Options options = TestHost::DefaultOptions();
  options.server.edge.max_streams_per_caller = 1;
  options.behaviour.watch = [](std::shared_ptr<WatchStream> stream, const WatchRequest&) {
    stream->TryWrite(Numbered(1));
  };
  TestHost host(std::move(options));
  const std::string token = host.Token();
  const auto first = MakeMemberContext(kTimeout, token);
  const auto reader = host.Stub()->Watch(first.get(), {});
  WatchResponse response;
  ASSERT_TRUE(reader->Read(&response));
  const auto try_again = [&] {
    const auto context = MakeMemberContext(kTimeout, token);
    const auto again = host.Stub()->Watch(context.get(), {});
    const bool admitted = again->Read(&response);
    if (admitted) context->TryCancel();
    const grpc::Status status = again->Finish();
    if (!admitted) {
      EXPECT_EQ(ReasonOf(FromGrpcStatus(status)), reason::kRateLimited);
    }
    return admitted;
  };
  EXPECT_FALSE(try_again());
  first->TryCancel();
  EXPECT_FALSE(reader->Finish().ok());
  EXPECT_TRUE(WaitUntil(try_again)) << "the place is given back";
}

TEST(BidiStreamTest, AnswersValidatesAndHonoursHalfClose) {
  TestHost host;
  const auto context = MakeMemberContext(kTimeout, host.Token());
  const auto chat = host.Stub()->Chat(context.get());
  ChatRequest request;
  ChatResponse response;
  for (int i = 0; i < 50; ++i) {
    request.set_text(std::to_string(i));
    ASSERT_TRUE(chat->Write(request));
    ASSERT_TRUE(chat->Read(&response));
    EXPECT_EQ(response.text(), request.text());
  }
  chat->WritesDone();
  EXPECT_FALSE(chat->Read(&response));
  EXPECT_TRUE(chat->Finish().ok());

  const auto second = MakeMemberContext(kTimeout, host.Token());
  const auto bad = host.Stub()->Chat(second.get());
  request.set_text("a\x01");
  EXPECT_TRUE(bad->Write(request));
  EXPECT_FALSE(bad->Read(&response));
  EXPECT_EQ(ReasonOf(FromGrpcStatus(bad->Finish())), reason::kFieldInvalid);
}

TEST(BidiStreamTest, ReadingPausesUntilResumed) {
  std::atomic<int> seen{0};
  std::atomic<ChatStream*> stream{nullptr};
  TestHost::Options options = TestHost::DefaultOptions();
  options.behaviour.chat = [&](ChatStream& chat, ChatRequest&) {
    stream = &chat;
    ++seen;
    return false;
  };
  TestHost host(std::move(options));
  const auto context = MakeMemberContext(kTimeout, host.Token());
  const auto chat = host.Stub()->Chat(context.get());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(chat->Write(ChatRequest()));
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(WaitUntil([&] { return seen == i; }));
    stream.load()->ResumeReads();
  }
  chat->WritesDone();
  EXPECT_TRUE(chat->Finish().ok());
}

// Writers, closers, drains and cancelling clients at once; the sanitizers watch.
TEST(StreamRaceTest, ProducersOutliveTheirStreamsInAnyOrder) {
  constexpr int kRounds = 150;
  std::atomic<int> done{0};
  Mutex mutex;
  std::vector<std::shared_ptr<WatchStream>> streams;
  TestHost::Options options = TestHost::DefaultOptions();
  options.behaviour.stream_done = [&] { ++done; };
  options.behaviour.watch_options = [](StreamOptions<WatchResponse>* stream) {
    stream->ping_interval = absl::Microseconds(100);
    stream->lifetime = absl::Milliseconds(5);
    stream->ping = [] { return WatchResponse(); };
  };
  options.behaviour.watch = [&](std::shared_ptr<WatchStream> stream, const WatchRequest&) {
    MutexLock lock(mutex);
    streams.push_back(std::move(stream));
  };
  TestHost host(std::move(options));
  std::atomic<bool> stop{false};
  std::vector<std::thread> producers;
  for (int i = 0; i < 3; ++i) {
    producers.emplace_back([&, i] {
      for (int64_t number = 0; !stop; ++number) {
        std::shared_ptr<WatchStream> stream;
        {
          MutexLock lock(mutex);
          if (!streams.empty()) {
            stream = streams[static_cast<size_t>(number) % streams.size()];
          }
        }
        if (stream == nullptr) continue;
        stream->TryWrite(Numbered(number));
        if (i == 0 && number % 50 == 0) stream->Close();
      }
    });
  }
  const auto stub = host.Stub();
  for (int round = 0; round < kRounds; ++round) {
    const auto context = MakeMemberContext(kTimeout, host.Token());
    const auto reader = stub->Watch(context.get(), {});
    WatchResponse response;
    for (int i = 0; i < round % 5; ++i) reader->Read(&response);
    if (round % 2 == 0) context->TryCancel();
    while (reader->Read(&response)) {
    }
    reader->Finish();
  }
  stop = true;
  for (std::thread& producer : producers) producer.join();
  host.host->Stop();
  EXPECT_EQ(done, static_cast<int>(streams.size()));
}

}  // namespace
}  // namespace handrail::rpc

#include "services/matching/domain/chunk_writer.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"

namespace handrail::matching {

ChunkWriter::ChunkWriter(int in_flight)
    : in_flight_(std::max(in_flight, 1)),
      executor_(in_flight_, static_cast<size_t>(in_flight_) + 1) {}

ChunkWriter::~ChunkWriter() { Finish().IgnoreError(); }

absl::Status ChunkWriter::Add(std::function<absl::Status()> work) {
  {
    MutexLock lock(mutex_);
    while (running_ >= in_flight_) ended_.Wait(mutex_);
    RETURN_IF_ERROR(failure_);
    ++running_;
  }
  if (executor_.TryRun([this, work = std::move(work)] { Run(work); })) return absl::OkStatus();
  // The executor has room for all that may run at once: it refuses only while it stops.
  MutexLock lock(mutex_);
  --running_;
  failure_ = absl::CancelledError("stopping");
  return failure_;
}

void ChunkWriter::Run(const std::function<absl::Status()>& work) {
  absl::Status status = work();
  MutexLock lock(mutex_);
  if (failure_.ok()) failure_ = std::move(status);
  --running_;
  ended_.SignalAll();
}

absl::Status ChunkWriter::Finish() {
  MutexLock lock(mutex_);
  while (running_ > 0) ended_.Wait(mutex_);
  return failure_;
}

}  // namespace handrail::matching

#ifndef HANDRAIL_SERVICES_MATCHING_DOMAIN_CHUNK_WRITER_H_
#define HANDRAIL_SERVICES_MATCHING_DOMAIN_CHUNK_WRITER_H_

#include <functional>

#include "absl/status/status.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"

namespace handrail::matching {

// Runs pieces of work beside the thread that prepares the next ones, at most `in_flight` at once.
// They may end in any order. Used by one thread.
class ChunkWriter {
 public:
  explicit ChunkWriter(int in_flight);
  // Waits for what was added.
  ~ChunkWriter();

  // Waits until fewer than `in_flight` are running, then starts this one. After a failure nothing
  // more is started: the first failure is the answer.
  absl::Status Add(std::function<absl::Status()> work);
  // Waits for all of them; the first failure, or OK.
  absl::Status Finish();

 private:
  void Run(const std::function<absl::Status()>& work);

  const int in_flight_;
  Mutex mutex_;
  CondVar ended_;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  Executor executor_;  // last: its threads use what is above
};

}  // namespace handrail::matching

#endif  // HANDRAIL_SERVICES_MATCHING_DOMAIN_CHUNK_WRITER_H_

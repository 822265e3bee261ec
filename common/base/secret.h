#ifndef HANDRAIL_COMMON_BASE_SECRET_H_
#define HANDRAIL_COMMON_BASE_SECRET_H_

#include <utility>

namespace handrail {

// A value that must not be printed: it has no operator<<, no AbslStringify and no comparison.
// Opening it leaves a word to grep for: Reveal.
template <typename T>
class Secret {
 public:
  Secret() = default;
  explicit Secret(T value) : value_(std::move(value)) {}
  const T& Reveal() const { return value_; }

 private:
  T value_{};
};

}  // namespace handrail

#endif  // HANDRAIL_COMMON_BASE_SECRET_H_

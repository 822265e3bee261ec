#ifndef HANDRAIL_COMMON_BASE_MACROS_H_
#define HANDRAIL_COMMON_BASE_MACROS_H_

// The two status macros of upstream Abseil, with upstream's names and meaning, because the packaged
// Abseil does not have them yet. A later upgrade is a change of include.

#define HANDRAIL_CONCAT_INNER_(a, b) a##b
#define HANDRAIL_CONCAT_(a, b) HANDRAIL_CONCAT_INNER_(a, b)

// Returns from the enclosing function when `expr`, an absl::Status, is not OK.
#define RETURN_IF_ERROR(expr)                                               \
  do {                                                                      \
    if (::absl::Status handrail_status_ = (expr); !handrail_status_.ok()) { \
      return handrail_status_;                                              \
    }                                                                       \
  } while (false)

// Evaluates `expr`, an absl::StatusOr<T>; returns its status when it holds none, else moves the
// value into `lhs`, which may be a declaration.
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_IMPL_(HANDRAIL_CONCAT_(handrail_status_or_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_IMPL_(result, lhs, expr) \
  auto result = (expr);                           \
  if (!result.ok()) {                             \
    return std::move(result).status();            \
  }                                               \
  lhs = *std::move(result)

#endif  // HANDRAIL_COMMON_BASE_MACROS_H_

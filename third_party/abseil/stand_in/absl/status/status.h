// A stand-in for the part of Abseil that fringe's stacks use. See ../../README.md.

#ifndef FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_STATUS_STATUS_H_
#define FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_STATUS_STATUS_H_

#include <cstring>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

// Calls F with each error, its number and its text.
#define FRINGE_FOR_EACH_ERROR(F)                  \
  F(Cancelled, 1, "CANCELLED")                    \
  F(Unknown, 2, "UNKNOWN")                        \
  F(InvalidArgument, 3, "INVALID_ARGUMENT")       \
  F(DeadlineExceeded, 4, "DEADLINE_EXCEEDED")     \
  F(NotFound, 5, "NOT_FOUND")                     \
  F(AlreadyExists, 6, "ALREADY_EXISTS")           \
  F(PermissionDenied, 7, "PERMISSION_DENIED")     \
  F(ResourceExhausted, 8, "RESOURCE_EXHAUSTED")   \
  F(FailedPrecondition, 9, "FAILED_PRECONDITION") \
  F(Aborted, 10, "ABORTED")                       \
  F(OutOfRange, 11, "OUT_OF_RANGE")               \
  F(Unimplemented, 12, "UNIMPLEMENTED")           \
  F(Internal, 13, "INTERNAL")                     \
  F(Unavailable, 14, "UNAVAILABLE")               \
  F(DataLoss, 15, "DATA_LOSS")                    \
  F(Unauthenticated, 16, "UNAUTHENTICATED")

namespace absl {

enum class StatusCode {
  kOk = 0,
#define FRINGE_DECLARE_CODE(Name, number, text) k##Name = number,
  FRINGE_FOR_EACH_ERROR(FRINGE_DECLARE_CODE)
#undef FRINGE_DECLARE_CODE
};

inline std::string StatusCodeToString(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "OK";
#define FRINGE_RETURN_TEXT(Name, number, text) \
  case StatusCode::k##Name:                    \
    return text;
      FRINGE_FOR_EACH_ERROR(FRINGE_RETURN_TEXT)
#undef FRINGE_RETURN_TEXT
  }
  return "";
}

class Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string_view message) : code_(code), message_(message) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  std::string_view message() const { return message_; }
  std::string ToString() const { return ok() ? "OK" : StatusCodeToString(code_) + ": " + message_; }
  void IgnoreError() const {}
  friend bool operator==(const Status&, const Status&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Status& status) {
    return out << status.ToString();
  }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

inline Status OkStatus() { return Status(); }

// For each error: InvalidArgumentError creates a status, IsInvalidArgument tests for it, and so on.
#define FRINGE_DEFINE_ERROR(Name, number, text)         \
  inline Status Name##Error(std::string_view message) { \
    return Status(StatusCode::k##Name, message);        \
  }                                                     \
  inline bool Is##Name(const Status& status) { return status.code() == StatusCode::k##Name; }
FRINGE_FOR_EACH_ERROR(FRINGE_DEFINE_ERROR)
#undef FRINGE_DEFINE_ERROR

inline Status ErrnoToStatus(int error, std::string_view message) {
  return Status(StatusCode::kUnknown, std::string(message) + ": " + std::strerror(error));
}

}  // namespace absl

#undef FRINGE_FOR_EACH_ERROR

#endif  // FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_STATUS_STATUS_H_

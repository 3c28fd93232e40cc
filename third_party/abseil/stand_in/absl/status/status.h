// A stand-in for the part of Abseil that fringe's stacks use. See ../../README.md.

#ifndef FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_STATUS_STATUS_H_
#define FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_STATUS_STATUS_H_

#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace absl {

enum class StatusCode {
  kOk = 0,
  kInvalidArgument = 3,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kInternal = 13,
};

class Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string_view message) : code_(code), message_(message) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  std::string_view message() const { return message_; }
  std::string ToString() const {
    return ok() ? "OK" : "code " + std::to_string(static_cast<int>(code_)) + ": " + message_;
  }
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
inline Status InvalidArgumentError(std::string_view message) {
  return Status(StatusCode::kInvalidArgument, message);
}
inline Status ResourceExhaustedError(std::string_view message) {
  return Status(StatusCode::kResourceExhausted, message);
}
inline Status FailedPreconditionError(std::string_view message) {
  return Status(StatusCode::kFailedPrecondition, message);
}
inline Status InternalError(std::string_view message) {
  return Status(StatusCode::kInternal, message);
}

}  // namespace absl

#endif  // FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_STATUS_STATUS_H_

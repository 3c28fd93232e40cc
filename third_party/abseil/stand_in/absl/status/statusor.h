// A stand-in for the part of Abseil that fringe's stacks use. See ../../README.md.

#ifndef FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_STATUS_STATUSOR_H_
#define FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_STATUS_STATUSOR_H_

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/status/status.h"

namespace absl {

template <typename T>
class StatusOr {
 public:
  StatusOr() : status_(UnknownError("")) {}
  StatusOr(Status status) : status_(std::move(status)) {}
  StatusOr(T value) : value_(std::move(value)) {}

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  T& value() & { return Checked(); }
  const T& value() const& { return const_cast<StatusOr*>(this)->Checked(); }
  T&& value() && { return std::move(Checked()); }
  T& operator*() & { return Checked(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(Checked()); }
  template <typename U>
  T value_or(U&& otherwise) && {
    return ok() ? *std::move(value_) : static_cast<T>(std::forward<U>(otherwise));
  }
  T* operator->() { return &Checked(); }
  const T* operator->() const { return &value(); }

 private:
  T& Checked() {
    if (!ok()) {
      std::fprintf(stderr, "no value: %s\n", status_.ToString().c_str());
      std::abort();
    }
    return *value_;
  }

  Status status_;
  std::optional<T> value_;
};

}  // namespace absl

#endif  // FRINGE_THIRD_PARTY_ABSEIL_STAND_IN_ABSL_STATUS_STATUSOR_H_

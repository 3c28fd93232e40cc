// The backend for Windows: fibers of the system.
//
// Windows keeps facts about a thread's stack in places that only it may write. So a generator runs
// on a fiber, which owns its stack, and a switch is `SwitchToFiber`. Everything used here is
// documented by Microsoft.
//
// The functions are those of link_record.h. Three things differ from a backend of a CPU:
//
//   * A stack comes with its fiber (`kStacksAreFibers`), which `Fiber` owns.
//   * Nothing may be written below the stack pointer of a suspended fiber, because Windows commits
//     the pages of a stack one by one. So a frame of the fiber holds the room for what is placed at
//     the base, and `Fiber::MakeRoom` must be called before anything is.
//   * No function is inlined. They need <windows.h>, which must stay out of users' code, and a
//     switch is a call anyway.

#ifndef FRINGE_ARCH_WINDOWS_FIBER_H_
#define FRINGE_ARCH_WINDOWS_FIBER_H_

#include <cstddef>
#include <cstdint>

namespace fringe::arch {

inline constexpr bool kStacksAreFibers = true;

inline constexpr size_t kStackAlignment = 16;
// Windows and its compilers touch a stack page by page.
inline constexpr size_t kGuardBytes = 4096;
// A fiber's stack has 64 KiB or more, so this need not be exact: frames that save ten vector
// registers, and those of `SwitchToFiber`.
inline constexpr size_t kMinimumFrameBytes = 2048;

class Fiber;
struct LinkRecord;

struct Message {
  uintptr_t word;
  LinkRecord* record;
};

struct Arrival {
  Message message;
  LinkRecord* ended_record;
};

using Entry = void (*)(uintptr_t word, LinkRecord* record, LinkRecord* cancelled_record);

// The words at the base of a generator's stack.
struct alignas(64) LinkRecord {
  void* resumer;  // the fiber to return to, while the generator runs; otherwise as of `Closed`
  Fiber* fiber;   // which the generator runs on
  Entry entry;
  Message message;  // on its way to the other side
};

// A fiber and the stack that it owns. The object is on that stack.
class Fiber {
 public:
  // Creates a fiber. It runs once, which determines `base()` and `limit()`.
  //
  // `reserve_bytes` is the size of the stack. `commit_bytes` of it have memory from the start.
  // Windows rounds both up.
  //
  // Returns: null after an error, with the name of the call and its `GetLastError()`.
  // Cost: tens of microseconds.
  static Fiber* Create(size_t reserve_bytes, size_t commit_bytes, const char** failed_call,
                       unsigned long* error);

  // Frees the fiber and its stack. What is suspended there is abandoned.
  //
  // Requires: nothing runs there.
  // Thread safety: any thread.
  void Delete();

  // One past the highest byte of the room, whatever its size.
  std::byte* base() const { return base_; }

  // The lowest byte that frames can use. The guard is below, and memory for the handler of an
  // overflow.
  std::byte* limit() const { return limit_; }

  // Makes the `bytes` below `base()` available. What is suspended on the stack is abandoned.
  //
  // Requires: nothing runs on the stack, and it has that many bytes and `kMinimumFrameBytes`.
  // Errors: fatal if the thread cannot be converted to a fiber.
  // Cost: a switch to the fiber and back.
  void MakeRoom(size_t bytes);

  // Completes `Init`: the first `Resume` continues this fiber.
  //
  // Requires: `record` is in the room.
  void Attach(LinkRecord* record);

 private:
  friend struct FiberCalls;  // of windows_fiber.cc

  Fiber() = default;

  void* fiber_ = nullptr;
  void* room_maker_ = nullptr;  // the fiber that waits in `MakeRoom`
  std::byte* base_ = nullptr;
  std::byte* limit_ = nullptr;
  size_t room_bytes_ = 0;
  LinkRecord* record_ = nullptr;  // of the generator
  bool restarts_ = false;         // whether the fiber must abandon its frames when it continues
  void* start_[5] = {};           // for __builtin_longjmp: where it then continues
};

// `sp` is unused, because frames begin below the room. `Fiber::Attach` must follow.
void Init(LinkRecord* record, std::byte* sp, Entry entry);

inline uintptr_t Closed(const LinkRecord* record) {
  return reinterpret_cast<uintptr_t>(record->resumer);
}

inline void Close(LinkRecord* record, uintptr_t reason) {
  record->resumer = reinterpret_cast<void*>(reason);
}

[[gnu::always_inline]] inline size_t StackBytesBelow(const void* address) {
  auto distance = reinterpret_cast<uintptr_t>(address);
  asm volatile("{subq %%rsp, %0|sub %0, rsp}" : "+r"(distance) : : "cc");
  return distance;
}

Message Resume(uintptr_t word, LinkRecord* record);
Message Cancel(LinkRecord* record);
inline Arrival ResumeAndLeaveOpen(uintptr_t word, LinkRecord* record) {
  return {Resume(word, record), record};
}
inline Message CancelAndLeaveOpen(LinkRecord* record) { return Cancel(record); }
Message Suspend(uintptr_t word, LinkRecord* record);
[[noreturn]] void Finish(uintptr_t word, LinkRecord* record);

}  // namespace fringe::arch

#endif  // FRINGE_ARCH_WINDOWS_FIBER_H_

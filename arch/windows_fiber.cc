#include "windows_fiber.h"

#define WIN32_LEAN_AND_MEAN

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 takes the address of the thread's block, an offset in a segment, for a null pointer.
#pragma GCC diagnostic ignored "-Warray-bounds"
#endif

#include <windows.h>

#include "fatal.h"

namespace fringe::arch {

// What needs <windows.h>.
struct FiberCalls {
  // What `Fiber::Create` passes to a new fiber.
  struct Birth {
    void* creator;
    Fiber* fiber;  // set by the new fiber
  };

  static Message ToGenerator(Message message, LinkRecord* record);
  // Returns: the message of the switch back.
  static Message ToResumer(Message message, LinkRecord* record);
  static void CALLBACK Run(void* birth);
  static void RunInRoom(Fiber* fiber);
  [[noreturn]] static void Restart(Fiber* fiber);
};

namespace {

// Without the flag, the control words of the floating-point units would stay with the thread.
constexpr DWORD kFlags = FIBER_FLAG_FLOAT_SWITCH;

// The lowest page is never used. The guard above it moves down as the stack grows, and the handler
// of an overflow runs in the page that was the guard last.
constexpr size_t kReservedBytes = 3 * 4096;

constexpr size_t kRoomAlignment = 64;

// Called at the end of a thread that was converted to `fiber`. Frees what Windows has allocated for
// it.
void ConvertBack(void* fiber) {
  // The thread may end in a generator, or the program may have converted it back.
  if (!IsThreadAFiber() || GetCurrentFiber() != fiber) return;
  if (!ConvertFiberToThread()) {
    fringe_fatal(
        "this thread cannot be converted back from a fiber: let it end only while none of its own "
        "runs.");
  }
}

#if defined(__MINGW32__)

extern "C" int __cxa_thread_atexit(void (*function)(void*), void* argument, void* library) noexcept;

// Not by a thread-local object: MinGW-w64 frees the memory of one before it calls the destructor.
//
// Returns: false if the heap has no memory.
bool ConvertBackAtTheEndOfTheThread(void* fiber) {
  static char library;
  return __cxa_thread_atexit(&ConvertBack, fiber, &library) == 0;
}

#else

struct ThreadFiber {
  ThreadFiber() = default;
  ThreadFiber(const ThreadFiber&) = delete;
  ThreadFiber& operator=(const ThreadFiber&) = delete;
  ~ThreadFiber() {
    if (fiber != nullptr) ConvertBack(fiber);
  }
  void* fiber = nullptr;
};

bool ConvertBackAtTheEndOfTheThread(void* fiber) {
  static thread_local ThreadFiber thread_fiber;
  thread_fiber.fiber = fiber;
  return true;
}

#endif

// Not inlined, so that no address of a thread-local variable is kept across a switch.
[[gnu::noinline]] void* ConvertThread() {
  void* const fiber = ConvertThreadToFiberEx(nullptr, kFlags);
  if (fiber == nullptr || ConvertBackAtTheEndOfTheThread(fiber)) return fiber;
  ConvertBack(fiber);
  SetLastError(ERROR_NOT_ENOUGH_MEMORY);
  return nullptr;
}

// Returns: the fiber that runs. If the thread is not a fiber yet, it is converted; null if that
//   fails.
void* CurrentFiber() {
  // On a thread that is no fiber, the result of `GetCurrentFiber` is undefined.
  if (!IsThreadAFiber()) [[unlikely]] {
    return ConvertThread();
  }
  return GetCurrentFiber();
}

void* RequireCurrentFiber() {
  void* const fiber = CurrentFiber();
  if (fiber == nullptr) [[unlikely]] {
    fringe_fatal(
        "this thread cannot be converted to a fiber, which a generator needs: free memory, or end "
        "other threads first.");
  }
  return fiber;
}

}  // namespace

// Not inlined, because GCC does not allow a jump inside a function.
[[gnu::noinline]] void FiberCalls::Restart(Fiber* fiber) { __builtin_longjmp(fiber->start_, 1); }

// Has the room in its frame.
[[gnu::noinline]] void FiberCalls::RunInRoom(Fiber* fiber) {
  const size_t bytes = (fiber->room_bytes_ / kRoomAlignment + 2) * kRoomAlignment;
  const uintptr_t end = reinterpret_cast<uintptr_t>(__builtin_alloca(bytes)) + bytes;
  fiber->base_ = reinterpret_cast<std::byte*>(end / kRoomAlignment * kRoomAlignment);
  fiber->record_ = nullptr;
  fiber->restarts_ = false;
  SwitchToFiber(fiber->room_maker_);
  if (fiber->restarts_) return;
  LinkRecord* const record = fiber->record_;
  const Message message = record->message;
  record->entry(message.word, message.record, message.record != nullptr ? nullptr : record);
}

void CALLBACK FiberCalls::Run(void* birth) {
  Fiber fiber;
  fiber.fiber_ = GetCurrentFiber();
  fiber.room_maker_ = static_cast<Birth*>(birth)->creator;
  ULONG_PTR low = 0;
  ULONG_PTR high = 0;
  GetCurrentThreadStackLimits(&low, &high);
  fiber.limit_ = reinterpret_cast<std::byte*>(low) + kReservedBytes;
  static_cast<Birth*>(birth)->fiber = &fiber;
  // `Restart` continues here.
  __builtin_setjmp(fiber.start_);
  for (;;) RunInRoom(&fiber);
}

Fiber* Fiber::Create(size_t reserve_bytes, size_t commit_bytes, const char** failed_call,
                     unsigned long* error) {
  FiberCalls::Birth birth = {CurrentFiber(), nullptr};
  if (birth.creator == nullptr) {
    *failed_call = "ConvertThreadToFiberEx";
    *error = GetLastError();
    return nullptr;
  }
  void* const fiber = CreateFiberEx(commit_bytes, reserve_bytes, kFlags, &FiberCalls::Run, &birth);
  if (fiber == nullptr) {
    *failed_call = "CreateFiberEx";
    *error = GetLastError();
    return nullptr;
  }
  SwitchToFiber(fiber);
  return birth.fiber;
}

void Fiber::Delete() { DeleteFiber(fiber_); }

void Fiber::MakeRoom(size_t bytes) {
  room_maker_ = RequireCurrentFiber();
  room_bytes_ = bytes;
  restarts_ = true;
  SwitchToFiber(fiber_);
}

void Fiber::Attach(LinkRecord* record) {
  record->fiber = this;
  record_ = record;
}

Message FiberCalls::ToGenerator(Message message, LinkRecord* record) {
  record->message = message;
  record->resumer = RequireCurrentFiber();
  SwitchToFiber(record->fiber->fiber_);
  record->resumer = nullptr;
  return record->message;
}

Message FiberCalls::ToResumer(Message message, LinkRecord* record) {
  Fiber* const fiber = record->fiber;
  record->message = message;
  SwitchToFiber(record->resumer);
  if (fiber->restarts_) [[unlikely]] {
    Restart(fiber);
  }
  return record->message;
}

void Init(LinkRecord* record, std::byte*, Entry entry) {
  record->resumer = nullptr;
  record->entry = entry;
}

Message Resume(uintptr_t word, LinkRecord* record) {
  return FiberCalls::ToGenerator({word, record}, record);
}

Message Cancel(LinkRecord* record) { return FiberCalls::ToGenerator({0, nullptr}, record); }

Message Suspend(uintptr_t word, LinkRecord* record) {
  return FiberCalls::ToResumer({word, record}, record);
}

void Finish(uintptr_t word, LinkRecord* record) {
  FiberCalls::ToResumer({word, nullptr}, record);
  __builtin_unreachable();  // it can only restart
}

}  // namespace fringe::arch

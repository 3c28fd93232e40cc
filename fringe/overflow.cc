// Which generator has overflowed is found out in the handler, from the fault alone. No list of
// running generators exists, because keeping one would cost every resume two stores. Nor is it
// needed: a fault of an overflow is in the guard, the first readable byte above the guard is the
// stack's limit, and the `Control` of the stack contains its own distance from the limit. A search
// upwards from the limit for a word with that property finds it, on every kind of stack.
//
// Everything in the handler is safe in signal handlers. Symbols are looked up in the program's file
// instead of by dladdr, which takes a lock. Unwinding takes none since glibc 2.35 and GCC 12, or
// LLVM's unwinder with its cache; it runs after the first line was written.

#include "overflow.h"

#if !defined(__linux__)
#error "fringe/overflow.h needs Linux."
#endif

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>

#include "../arch/arch.h"
#include "../arch/fatal.h"
#include "config.h"
#include "control.h"

namespace fringe {
namespace {

// --- The interrupted code ---

struct Registers {
  uintptr_t pc;
  uintptr_t sp;
};

Registers RegistersOf(const ucontext_t& context) {
  const auto& machine = context.uc_mcontext;
#if defined(__x86_64__)
  return {static_cast<uintptr_t>(machine.gregs[REG_RIP]),
          static_cast<uintptr_t>(machine.gregs[REG_RSP])};
#elif defined(__i386__)
  return {static_cast<uintptr_t>(machine.gregs[REG_EIP]),
          static_cast<uintptr_t>(machine.gregs[REG_ESP])};
#elif defined(__aarch64__)
  return {machine.pc, machine.sp};
#elif defined(__arm__)
  return {machine.arm_pc, machine.arm_sp};
#elif defined(__loongarch__)
  return {machine.__pc, machine.__gregs[3]};
#elif defined(__mips64)
  return {machine.pc, machine.gregs[29]};
#elif defined(__powerpc64__)
  return {machine.gp_regs[32], machine.gp_regs[1]};
#elif defined(__riscv)
  return {machine.__gregs[REG_PC], machine.__gregs[REG_SP]};
#elif defined(__s390x__)
  return {machine.psw.addr, machine.gregs[15]};
#endif
}

// How far below the stack pointer an instruction may access the stack: the red zone, and what a
// store with a new stack pointer writes.
#if defined(__powerpc64__)
constexpr uintptr_t kReachBytes = 64 << 10;
#else
constexpr uintptr_t kReachBytes = 512;
#endif

// --- Finding the generator ---

// The farthest that it looks for a limit above a fault, and for a `Control` above a limit.
constexpr uintptr_t kMaximumGuardBytes = uintptr_t{1} << 30;
constexpr uintptr_t kMaximumStackBytes = uintptr_t{1} << (sizeof(void*) == 8 ? 36 : 30);

uintptr_t page_bytes;

// Whether the word at `address` can be read. The kernel reads it and compares it, waits no time,
// and fails with EFAULT at a guard of any kind. That needs no file descriptor.
bool IsReadable(uintptr_t address) {
  const uint64_t no_time[2] = {};
  const int saved_errno = errno;
  const bool failed = syscall(SYS_futex, address, FUTEX_WAIT_PRIVATE, 0, no_time, nullptr, 0) == -1;
  const bool is_readable = !failed || errno != EFAULT;
  errno = saved_errno;
  return is_readable;
}

struct RunningStack {
  uintptr_t limit;
  uintptr_t control;
  size_t size_bytes;
};

// Returns: whether the code at `sp` has overflowed the stack of a running generator by an access to
//   `fault`, and then that stack.
bool FindOverflow(uintptr_t fault, uintptr_t sp, RunningStack* stack) {
#if defined(__s390x__)
  fault |= page_bytes - 1;  // the CPU reports the page alone
#endif
  if (fault < sp && sp - fault > kReachBytes) return false;
  // The stack pointer must not be on another stack, below the guard.
  const uintptr_t fault_page = fault & ~(page_bytes - 1);
  if (sp < fault_page && fault_page - sp > kMaximumGuardBytes) return false;
  for (uintptr_t page = sp & ~(page_bytes - 1); page < fault_page; page += page_bytes) {
    if (IsReadable(page)) return false;
  }

  uintptr_t limit = fault_page;
  do {
    limit += page_bytes;
    if (limit == 0 || limit - fault_page > kMaximumGuardBytes) return false;
  } while (!IsReadable(limit));

  constexpr uintptr_t kStep = alignof(internal::Control);
  for (uintptr_t place = limit; place - limit < kMaximumStackBytes; place += kStep) {
    static_assert(kStep >= sizeof(arch::LinkRecord));
    // What follows the record may be on the next page.
    const uintptr_t end = place + internal::Control::kReadBytes;
    if (place % page_bytes == 0 && !IsReadable(place)) return false;
    if (end / page_bytes != place / page_bytes && !IsReadable(end)) return false;
    const auto* const control = reinterpret_cast<const void*>(place);
    if (internal::Control::IsRunningAt(control, place - limit)) {
      *stack = {limit, place, place - limit + sizeof(internal::Control)};
      return true;
    }
  }
  return false;
}

// --- Text ---

// One line, written at once. A longer one is cut.
class Line {
 public:
  Line& operator<<(const char* text) {
    while (*text != '\0' && size_ < sizeof(text_) - 1) text_[size_++] = *text++;
    return *this;
  }
  Line& operator<<(size_t number) { return Number(number, 10); }
  Line& Hex(uintptr_t number) { return (*this << "0x").Number(number, 16); }

  void Write() {
    text_[size_++] = '\n';
    for (size_t begin = 0; begin < size_;) {
      const ssize_t written = write(STDERR_FILENO, text_ + begin, size_ - begin);
      if (written <= 0 && errno != EINTR) break;  // nobody else can be told
      if (written > 0) begin += static_cast<size_t>(written);
    }
    size_ = 0;
  }

 private:
  Line& Number(uintptr_t number, uintptr_t radix) {
    char digits[24];
    char* first = digits + sizeof(digits) - 1;
    *first = '\0';
    do {
      *--first = "0123456789abcdef"[number % radix];
      number /= radix;
    } while (number != 0);
    return *this << first;
  }

  char text_[1024];
  size_t size_ = 0;
};

// --- Symbols ---

struct Symbol {
  char name[768];  // empty if unknown
  uintptr_t offset_bytes;
  const char* module;  // null if unknown
  uintptr_t module_offset_bytes;
};

bool ReadAt(int file, uintptr_t offset, void* buffer, size_t size_bytes) {
  return pread(file, buffer, size_bytes, static_cast<off_t>(offset)) ==
         static_cast<ssize_t>(size_bytes);
}

// Returns: whether the symbol table that `section` describes has a function around `address`.
bool FindIn(int file, const ElfW(Shdr) & section, uintptr_t sections, uintptr_t address,
            Symbol* symbol) {
  static ElfW(Sym) symbols[128];
  ElfW(Sym) best = {};
  for (uintptr_t read = 0; read < section.sh_size; read += sizeof(symbols)) {
    const size_t bytes = std::min<size_t>(sizeof(symbols), section.sh_size - read);
    if (!ReadAt(file, section.sh_offset + read, symbols, bytes)) return false;
    for (size_t i = 0; i < bytes / sizeof(symbols[0]); ++i) {
      const ElfW(Sym)& candidate = symbols[i];
      if ((candidate.st_info & 0xf) == STT_FUNC && candidate.st_shndx != SHN_UNDEF &&
          address - candidate.st_value < std::max<uintptr_t>(candidate.st_size, 1)) {
        best = candidate;
      }
    }
  }
  ElfW(Shdr) strings;
  if (best.st_name == 0 ||
      !ReadAt(file, sections + section.sh_link * sizeof(strings), &strings, sizeof(strings))) {
    return false;
  }
  const ssize_t bytes = pread(file, symbol->name, sizeof(symbol->name) - 1,
                              static_cast<off_t>(strings.sh_offset + best.st_name));
  if (bytes <= 0) return false;
  symbol->name[bytes] = '\0';
  symbol->offset_bytes = address - best.st_value;
  return true;
}

// Fills in what can be found out about `pc`.
void FindSymbol(uintptr_t pc, Symbol* symbol) {
  symbol->name[0] = '\0';
  symbol->module = nullptr;
// The C library has a search that takes no lock.
#if defined(DLFO_STRUCT_HAS_EH_DBASE)
  dl_find_object object;
  if (_dl_find_object(reinterpret_cast<void*>(pc), &object) != 0) return;
  const link_map* const map = object.dlfo_link_map;
  if (map == nullptr) return;
  const bool is_program = map->l_name == nullptr || map->l_name[0] == '\0';
  const char* const path = is_program ? "/proc/self/exe" : map->l_name;
  symbol->module_offset_bytes = pc - map->l_addr;
  symbol->module = is_program ? "program" : path;

  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file == -1) return;
  ElfW(Ehdr) header;
  if (ReadAt(file, 0, &header, sizeof(header)) &&
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
      header.e_shentsize == sizeof(ElfW(Shdr))) {
    bool found = false;
    // The full table, unless the file is stripped.
    for (const ElfW(Word) type : {ElfW(Word){SHT_SYMTAB}, ElfW(Word){SHT_DYNSYM}}) {
      for (size_t i = 0; i < header.e_shnum && !found; ++i) {
        ElfW(Shdr) section;
        if (!ReadAt(file, header.e_shoff + i * sizeof(section), &section, sizeof(section))) break;
        if (section.sh_type == type) {
          found = FindIn(file, section, header.e_shoff, symbol->module_offset_bytes, symbol);
        }
      }
    }
  }
  close(file);
#endif
}

void AppendSymbol(Line& line, const Symbol& symbol, bool with_offset) {
  if (symbol.name[0] != '\0') {
    line << symbol.name;
    if (with_offset) (line << "+").Hex(symbol.offset_bytes);
  } else {
    line << "??";
  }
  if (symbol.module != nullptr) {
    const char* const slash = std::strrchr(symbol.module, '/');
    line << " (" << (slash != nullptr ? slash + 1 : symbol.module) << "+";
    line.Hex(symbol.module_offset_bytes) << ")";
  }
}

// --- The backtrace ---

// The frames on the stack that has overflowed.
struct Frames {
  static constexpr size_t kDeepest = 16;
  static constexpr size_t kOutermost = 4;

  RunningStack stack;
  Registers interrupted;
  bool started;   // has found the interrupted function
  bool complete;  // has found a frame on another stack
  size_t count;
  uintptr_t deepest[kDeepest];
  // A ring. It has room for the trampoline's frame, which is dropped.
  uintptr_t outermost[kOutermost + 1];

  void Add(uintptr_t pc) {
    if (count < kDeepest) deepest[count] = pc;
    outermost[count % (kOutermost + 1)] = pc;
    ++count;
  }
  // The frame `i` from the outside. Less than `kOutermost` and `count`.
  uintptr_t FromOutside(size_t i) const { return outermost[(count - 1 - i) % (kOutermost + 1)]; }
};

_Unwind_Reason_Code VisitFrame(_Unwind_Context* context, void* argument) {
  auto* const frames = static_cast<Frames*>(argument);
  const auto pc = static_cast<uintptr_t>(_Unwind_GetIP(context));
  const auto sp = static_cast<uintptr_t>(_Unwind_GetCFA(context));
  if (!frames->started) {
    // Some unwinders return the address after the instruction.
    if (pc - frames->interrupted.pc > 4) return _URC_NO_REASON;
    frames->started = true;
    frames->Add(pc);
    return _URC_NO_REASON;
  }
  if (sp > frames->stack.control || sp < std::min(frames->interrupted.sp, frames->stack.limit)) {
    frames->complete = true;
    if (frames->count > 1) --frames->count;  // the trampoline
    return _URC_END_OF_STACK;
  }
  frames->Add(pc - 1);  // in the call
  return _URC_NO_REASON;
}

// --- The report ---

// The thread that reports, or 0. It owns everything below.
constinit std::atomic<pid_t> reporter = 0;
sigjmp_buf unreadable_stack;
Frames frames;
Symbol symbol;
Line line;

// The least of an alternate stack on which the report unwinds.
constexpr size_t kBacktraceBytes = 8 << 10;

pid_t ThisThread() { return static_cast<pid_t>(syscall(SYS_gettid)); }

// How much of the alternate stack is left.
size_t RoomBytes(const ucontext_t& context) {
  const auto limit = reinterpret_cast<uintptr_t>(context.uc_stack.ss_sp);
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  const bool is_on_it = here - limit < context.uc_stack.ss_size;
  return is_on_it ? here - limit : 0;
}

bool Contains(const char* text, const char* part) { return std::strstr(text, part) != nullptr; }

// The function whose symbol names the body: the generator's first, whose name has the type of the
// body in it, or the function that it calls through a pointer.
void FindBody() {
  for (size_t i = 0; i < std::min(frames.count, Frames::kOutermost); ++i) {
    FindSymbol(frames.FromOutside(i), &symbol);
    const bool is_entry = Contains(symbol.name, "9Generator") && Contains(symbol.name, "5EntryI");
    const bool is_run = Contains(symbol.name, "9Generator") && Contains(symbol.name, "3RunI");
    if (is_entry && Contains(symbol.name, "5EntryIP")) continue;
    if (is_run && Contains(symbol.name, "3RunIP")) continue;
    return;
  }
}

void PrintFrame(size_t number, uintptr_t pc) {
  FindSymbol(pc, &symbol);
  line << "  #" << number << " ";
  line.Hex(pc) << " ";
  AppendSymbol(line, symbol, /*with_offset=*/true);
  line.Write();
}

void PrintFrames() {
  if (frames.complete) {
    FindBody();
    line << "body: ";
    AppendSymbol(line, symbol, /*with_offset=*/false);
    line.Write();
  }
  (line << "deepest frames:").Write();
  const size_t deepest = std::min(frames.count, Frames::kDeepest);
  for (size_t i = 0; i < deepest; ++i) PrintFrame(i, frames.deepest[i]);
  const size_t outermost = std::min(frames.count - deepest, Frames::kOutermost);
  if (frames.count - deepest > outermost) {
    (line << "  ... " << frames.count - deepest - outermost << " more frames ...").Write();
  }
  for (size_t i = outermost; i-- > 0;) PrintFrame(frames.count - 1 - i, frames.FromOutside(i));
  if (!frames.complete) (line << "  the rest of the stack cannot be unwound").Write();
}

void Report(const RunningStack& stack, const ucontext_t& context) {
  const pid_t this_thread = ThisThread();
  for (pid_t nobody = 0; !reporter.compare_exchange_strong(nobody, this_thread); nobody = 0) {
    const timespec millisecond = {0, 1'000'000};
    nanosleep(&millisecond, nullptr);
  }
  (line << "fringe: stack overflow in a generator: its stack of " << stack.size_bytes
        << " bytes is full. Use a larger stack, or less of it.")
      .Write();

  frames = {};
  frames.stack = stack;
  frames.interrupted = RegistersOf(context);
  if (RoomBytes(context) < kBacktraceBytes) {
    frames.Add(frames.interrupted.pc);
  } else {
    // A fault while unwinding comes back here.
    sigset_t fault;
    sigset_t blocked;
    sigemptyset(&fault);
    sigaddset(&fault, SIGSEGV);
    pthread_sigmask(SIG_UNBLOCK, &fault, &blocked);
    if (sigsetjmp(unreadable_stack, /*savemask=*/1) == 0) {
      _Unwind_Backtrace(&VisitFrame, &frames);
    }
    pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
    if (frames.count == 0) frames.Add(frames.interrupted.pc);
  }
  PrintFrames();
  reporter.store(0);
}

// --- The handler ---

struct sigaction previous;

// Does what would have happened without the handler.
void PassOn(int signal, siginfo_t* info, void* context) {
  const bool is_function = (previous.sa_flags & SA_SIGINFO) != 0 ||
                           (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN);
  if (is_function) {
    if ((static_cast<unsigned>(previous.sa_flags) & SA_RESETHAND) != 0) ::signal(signal, SIG_DFL);
    if ((previous.sa_flags & SA_SIGINFO) != 0) {
      previous.sa_sigaction(signal, info, context);
    } else {
      previous.sa_handler(signal);
    }
    return;
  }
  // A fault recurs when the handler returns, and then ends the program. A signal that was sent does
  // not.
  const bool was_sent = info->si_code <= 0;
  if (was_sent && previous.sa_handler == SIG_IGN) return;
  sigaction(signal, &previous, nullptr);
  if (was_sent) syscall(SYS_rt_tgsigqueueinfo, getpid(), ThisThread(), signal, info);
}

void Handle(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  if (reporter.load() == ThisThread()) siglongjmp(unreadable_stack, 1);
  const auto& interrupted = *static_cast<const ucontext_t*>(context);
  RunningStack stack;
  const bool is_fault = info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR;
  if (is_fault && FindOverflow(reinterpret_cast<uintptr_t>(info->si_addr),
                               RegistersOf(interrupted).sp, &stack)) {
    Report(stack, interrupted);
  }
  errno = saved_errno;
  PassOn(signal, info, context);
}

// --- Installing ---

// The thread's alternate stack, if it is fringe's. A guard is below it.
class AlternateStack {
 public:
  AlternateStack() = default;
  AlternateStack(const AlternateStack&) = delete;
  AlternateStack& operator=(const AlternateStack&) = delete;
  ~AlternateStack() {
    if (start_ == nullptr) return;
    stack_t current;
    if (sigaltstack(nullptr, &current) != 0) return;
    // The thread ends inside of a handler, on this stack.
    if ((current.ss_flags & SS_ONSTACK) != 0) return;
    if (current.ss_sp == start_ + page_bytes) {
      stack_t none = {};
      none.ss_flags = SS_DISABLE;
      if (sigaltstack(&none, nullptr) != 0) return;
    }
    if (munmap(start_, mapped_bytes_) != 0) {
      fringe_fatal("munmap of an alternate signal stack failed: check who else has unmapped it.");
    }
  }

  void Install() {
    stack_t current;
    if (start_ != nullptr) return;
    if (sigaltstack(nullptr, &current) != 0) {
      fringe_fatal("sigaltstack failed: check what forbids the system call.");
    }
    if ((current.ss_flags & SS_DISABLE) == 0) return;
    // A signal frame has all registers, which may be many.
    const size_t size_bytes =
        (size_t{64} << 10) + (getauxval(AT_MINSIGSTKSZ) + page_bytes - 1) / page_bytes * page_bytes;
    mapped_bytes_ = page_bytes + size_bytes;
    void* const start = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED || mprotect(start, page_bytes, PROT_NONE) != 0) {
      fringe_fatal(
          "mmap of an alternate signal stack failed: call InstallOverflowHandler on fewer "
          "threads.");
    }
    start_ = static_cast<std::byte*>(start);
    stack_t stack = {};  // the order of its members depends on the CPU
    stack.ss_sp = start_ + page_bytes;
    stack.ss_size = size_bytes;
    if (sigaltstack(&stack, nullptr) != 0) {
      fringe_fatal("sigaltstack failed: check what forbids the system call.");
    }
  }

 private:
  std::byte* start_ = nullptr;
  size_t mapped_bytes_ = 0;
};

_Unwind_Reason_Code StopUnwinding(_Unwind_Context*, void*) { return _URC_END_OF_STACK; }

void InstallHandler() {
  page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  // Initializes the unwinder, and resolves the calls of it.
  _Unwind_Backtrace(&StopUnwinding, nullptr);
  if (sigaction(SIGSEGV, nullptr, &previous) != 0) {
    fringe_fatal("sigaction failed: check what forbids the system call.");
  }
  struct sigaction action = {};
  action.sa_sigaction = &Handle;
  action.sa_mask = previous.sa_mask;
  action.sa_flags =
      SA_SIGINFO | SA_ONSTACK | (previous.sa_flags & (SA_NODEFER | SA_RESTART | SA_NOCLDSTOP));
  if (sigaction(SIGSEGV, &action, nullptr) != 0) {
    fringe_fatal("sigaction failed: check what forbids the system call.");
  }
}

}  // namespace

void InstallOverflowHandler() {
  static std::once_flag installed;
  std::call_once(installed, &InstallHandler);
  thread_local AlternateStack alternate_stack;
  alternate_stack.Install();
}

}  // namespace fringe

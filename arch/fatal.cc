#include "fatal.h"

#if defined(_WIN32)
#include <io.h>

#include <cstdio>
#else
#include <sys/uio.h>
#include <unistd.h>
#endif

#include <cstdlib>
#include <cstring>

#if defined(_WIN32)

extern "C" void fringe_fatal(const char* sentence) {
  // One call, so that the line is not mixed with those of other writers. A sentence is shorter.
  char line[512];
  const int length = std::snprintf(line, sizeof(line), "fringe: %s\n", sentence);
  // If it fails, nothing else can be done.
  [[maybe_unused]] const int written =
      _write(2, line, static_cast<unsigned>(length < 512 ? length : 511));
  std::abort();
}

#else

extern "C" void fringe_fatal(const char* sentence) {
  char prefix[] = "fringe: ";
  char newline[] = "\n";
  const iovec parts[] = {{prefix, sizeof(prefix) - 1},
                         {const_cast<char*>(sentence), std::strlen(sentence)},
                         {newline, sizeof(newline) - 1}};
  // One system call, so that the line is not mixed with those of other writers. If it fails,
  // nothing else can be done.
  [[maybe_unused]] const ssize_t written = writev(STDERR_FILENO, parts, 3);
  std::abort();
}

#endif

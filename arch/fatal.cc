#include "fatal.h"

#include <sys/uio.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

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

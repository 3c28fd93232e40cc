// gdb for tests: that of this machine's CPU, or for a program in an emulator.

#ifndef FRINGE_TESTING_DEBUGGERS_GDB_H_
#define FRINGE_TESTING_DEBUGGERS_GDB_H_

#include <string>
#include <vector>

#include "testing/support/command.h"
#include "testing/support/emulator.h"
#include "testing/support/scratch_folder.h"

namespace fringe::testing {

// Returns: the gdb that supports the program's CPU.
inline const char* Debugger() { return Emulator() == nullptr ? "gdb" : "gdb-multiarch"; }

// Runs gdb with `commands`, and with `words` at the end of its command line.
inline CommandResult RunGdb(const std::vector<std::string>& commands,
                            const std::vector<std::string>& words) {
  std::vector<std::string> command_line = {Debugger(), "-nx", "-batch"};
  for (const char* const setting :
       {"set debuginfod enabled off", "set width 0", "set style enabled off"}) {
    command_line.insert(command_line.end(), {"-ex", setting});
  }
  for (const std::string& command : commands) {
    command_line.insert(command_line.end(), {"-ex", command});
  }
  command_line.insert(command_line.end(), words.begin(), words.end());
  return RunCommand(command_line);
}

// Returns: why gdb cannot be used here; an empty text if it can.
inline std::string WhyThereIsNoGdb() {
  return IsInstalled(Debugger()) ? "" : std::string(Debugger()) + " is not installed";
}

// As `WhyThereIsNoGdb`, for a use in which gdb starts the program.
inline std::string WhyGdbCannotStartPrograms() {
  if (std::string why = WhyThereIsNoGdb(); !why.empty()) return why;
  if (Emulator() != nullptr) return "";
  static const std::string trial = RunGdb({"run"}, {"/bin/true"}).output;
  if (trial.find("exited normally") != std::string::npos) return "";
  return "gdb cannot trace a process here: " + trial;
}

// Returns: gdb's commands that start the program in the emulator. It waits before the program's
//   first instruction.
inline std::vector<std::string> StartInEmulator(const std::string& program,
                                                const std::string& argument = "") {
  static const ScratchFolder folder("/tmp");  // A socket's path is short.
  static int started = 0;
  const std::string socket = folder.path() + "/" + std::to_string(started++);
  // The socket exists before the emulator listens on it, which its flags show.
  return {"shell " + std::string(Emulator()) + " -g " + socket + " " + program + " " + argument +
              " > /dev/null & until grep -q ' 00010000 .* " + socket +
              "$' /proc/net/unix || ! kill -0 $!; do sleep 0.01; done",
          "target remote " + socket};
}

}  // namespace fringe::testing

#endif  // FRINGE_TESTING_DEBUGGERS_GDB_H_

// Builds images without an operating system, boots each in an emulator of a whole machine, and
// checks its output and exit status. The first argument names the machine. The others are warning
// flags.

#include <filesystem>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "testing/bare_metal/machine.h"
#include "testing/support/command.h"

namespace fringe::testing {
namespace {

using Words = std::vector<std::string>;

Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// --- Machines ------------------------------------------------------------------------------------

struct Machine {
  std::string name;   // the name of its source, its backend and its CPU
  std::string tools;  // the prefix of its compiler and binary tools
  Words flags;        // for all of its compilers
  Words gcc_flags;    // only for GCC
  Words clang;        // Clang for this CPU; empty if it is not tested
  std::string why_no_clang;
  std::string origin;  // the load address of images
  Words emulator;
};

// `-icount` counts a fixed time per instruction: 2 to the power of `shift` nanoseconds. The shift
// makes a timer tick about as long.
const Machine kMachines[] = {
    {
        .name = "aarch64",
        .tools = "aarch64-linux-gnu-",
        // With the memory management unit off, only aligned accesses work.
        .flags = {"-mstrict-align"},
        .gcc_flags = {"-mno-outline-atomics"},
        .clang = {"clang++", "--target=aarch64-linux-gnu"},
        .why_no_clang = "",
        .origin = "0x40080000",
        .emulator = {"qemu-system-aarch64", "-M", "virt", "-cpu", "max", "-semihosting-config",
                     "enable=on,target=native", "-icount", "shift=4,sleep=off"},
    },
    {
        .name = "arm",
        .tools = "arm-linux-gnueabihf-",
        .flags = {"-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-d16"},
        .gcc_flags = {},
        .clang = {},
        .why_no_clang = "Clang is not tried for a Cortex-M",
        .origin = "0",
        .emulator = {"qemu-system-arm", "-M", "mps2-an500", "-semihosting-config",
                     "enable=on,target=native", "-icount", "shift=7,sleep=off"},
    },
    {
        .name = "riscv64",
        .tools = "riscv64-linux-gnu-",
        .flags = {"-mcmodel=medany"},
        .gcc_flags = {},
        .clang = {},
        .why_no_clang = "Clang finds no C++ library for this CPU",
        .origin = "0x80000000",
        .emulator = {"qemu-system-riscv64", "-M", "virt", "-bios", "none", "-icount",
                     "shift=8,sleep=off"},
    },
    {
        .name = "x86_64",
        .tools = "x86_64-linux-gnu-",
        // An interrupt writes below the stack pointer.
        .flags = {"-mno-red-zone"},
        .gcc_flags = {},
        .clang = {"clang++", "--target=x86_64-linux-gnu"},
        .why_no_clang = "",
        .origin = "0x100000",
        .emulator = {"qemu-system-x86_64", "-M", "microvm", "-device",
                     "isa-debug-exit,iobase=0xf4,iosize=4", "-icount", "shift=0,sleep=off"},
    },
};

const Machine* machine;
Words warnings;

// --- Building ------------------------------------------------------------------------------------

// The flags that every user needs, and -Werror.
const Words kFlags = {
    "-std=c++20",
    "-ffreestanding",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-threadsafe-statics",
    "-fno-stack-protector",
    "-fno-pie",
    "-Werror",
};

enum class Compiler { kGcc, kClang };

// A way of compiling.
struct Way {
  Compiler compiler;
  std::string level;
};

// Returns: the compiler command of `way` for the machine, without files.
Words CompilerCommand(const Way& way) {
  const Words compiler = way.compiler == Compiler::kGcc
                             ? Words{machine->tools + "g++"} + machine->gcc_flags
                             : machine->clang;
  return compiler + kFlags + machine->flags + warnings + Words{way.level, "-iquote", "."};
}

std::string TempFile(const std::string& name) { return ::testing::TempDir() + "/" + name; }

// Runs a tool, which must succeed.
//
// Returns: its output.
std::string RunTool(const Words& words) {
  const CommandResult result = RunCommand(words);
  if (result.exit_status != 0) {
    std::string line;
    for (const std::string& word : words) line += word + " ";
    ADD_FAILURE() << line << "\nends with " << result.exit_status << ":\n" << result.output;
  }
  return result.output;
}

// Compiles a source, unless it is already compiled.
//
// Returns: the object file.
std::string Compile(const std::string& source, const Way& way, const Words& defines = {}) {
  static std::map<Words, std::string> objects;
  const Words words = CompilerCommand(way) + defines + Words{"-c", source};
  const auto [entry, is_new] = objects.try_emplace(words);
  if (is_new) {
    entry->second = TempFile(std::to_string(objects.size()) + ".o");
    RunTool(words + Words{"-o", entry->second});
  }
  return entry->second;
}

std::string Backend() { return "arch/" + machine->name + ".cc"; }

// Returns: the image of a program. `source` contains its main function, or else a function called
//   `name`.
std::string Build(const std::string& source, const Way& way, const std::string& name = "") {
  Words objects = {Compile("testing/bare_metal/" + machine->name + ".cc", way),
                   Compile("testing/bare_metal/runtime.cc", way),
                   Compile("testing/bare_metal/common.cc", way),
                   Compile("testing/bare_metal/" + source, way), Compile(Backend(), way)};
  if (!name.empty()) {
    objects.push_back(
        Compile("testing/bare_metal/case.cc", way, {"-DFRINGE_TESTING_CASE=" + name}));
  }
  static int count = 0;
  const std::string image = TempFile("image" + std::to_string(++count));
  RunTool(Words{machine->tools + "g++"} + machine->flags +
          Words{"-nostdlib", "-static", "-no-pie", "-Wl,--fatal-warnings", "-Wl,--build-id=none",
                "-Wl,-z,noexecstack", "-Wl,-z,max-page-size=4096",
                "-Wl,--defsym=image_origin=" + machine->origin, "-T",
                "testing/bare_metal/image.ld"} +
          objects + Words{"-lgcc", "-o", image});
  return image;
}

// --- Running -------------------------------------------------------------------------------------

// Returns: the exit status of the emulator for an exit status of the image.
int ExitStatus(Status status) {
  const auto number = static_cast<int>(status);
  return machine->name == "x86_64" ? 2 * number + 1 : number;
}

// Boots an image.
//
// Returns: what is wrong with its end or its output; empty if nothing is.
std::string Boot(const std::string& image, Status expected_status, const std::string& expected_line,
                 int seconds = 60) {
  const CommandResult result =
      RunCommand(Words{"timeout", "--kill-after=5", std::to_string(seconds)} + machine->emulator +
                 Words{"-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
                       "-kernel", image});
  const std::string printed = ", and printed:\n" + result.output;
  if (result.exit_status == 124) return "it did not end" + printed;
  if (result.exit_status != ExitStatus(expected_status)) {
    return "the emulator ended with " + std::to_string(result.exit_status) + printed;
  }
  for (const std::string& line : SplitLines(result.output)) {
    if (line == expected_line) {
      std::cout << result.output;
      return "";
    }
  }
  return "it did not print \"" + expected_line + "\"" + printed;
}

class BareMetalTest : public ::testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    for (const std::string& program :
         {machine->tools + "g++", machine->emulator.front(), std::string("clang++")}) {
      ASSERT_TRUE(IsInstalled(program))
          << program << " is not installed: ./bazelw --config=bare-metal installs it";
    }
    if (GetParam().compiler == Compiler::kClang && machine->clang.empty()) {
      GTEST_SKIP() << machine->why_no_clang;
    }
  }
};

std::string NameOf(const ::testing::TestParamInfo<Way>& way) {
  const std::string compiler = way.param.compiler == Compiler::kGcc ? "Gcc" : "Clang";
  return compiler + way.param.level.substr(1);
}

const Way kGccO0 = {Compiler::kGcc, "-O0"};
const Way kGccO2 = {Compiler::kGcc, "-O2"};
const Way kGccOs = {Compiler::kGcc, "-Os"};
const Way kClangO2 = {Compiler::kClang, "-O2"};

INSTANTIATE_TEST_SUITE_P(All, BareMetalTest, ::testing::Values(kGccO0, kGccO2, kGccOs, kClangO2),
                         &NameOf);

TEST_P(BareMetalTest, GeneratorsRun) {
  const std::string image = Build("program.cc", GetParam());
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(Boot(image, kWell, "0 wrong"), "");
}

class OneWayTest : public BareMetalTest {};

INSTANTIATE_TEST_SUITE_P(All, OneWayTest, ::testing::Values(kGccO2), &NameOf);

TEST_P(OneWayTest, TheExampleOfThePageRuns) {
  const std::string image = Build("example.cc", GetParam());
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(Boot(image, kWell, "1 12 123 "), "");
}

TEST_P(OneWayTest, MisuseEndsInTheUsersHook) {
  const std::pair<const char*, const char*> cases[] = {
      {"ResumesItself",
       "fringe: a running generator cannot be resumed, by itself or by a generator it has "
       "resumed."},
      {"SuspendsOnAnotherStack",
       "fringe: Suspend must be called from the generator's own body, on its own stack, while it "
       "is running."},
      {"UnwrapsUnfinished", "fringe: a generator must have returned or thrown before Unwrap."},
      {"DestroysUnfinished",
       "fringe: an unfinished generator cannot be destroyed with -fno-exceptions: run it to its "
       "end, suspend by TrySuspend, or call UnsafeUnwrap."},
      {"HasTooSmallAStack",
       "fringe: the stack is too small for the generator's body and its frames."},
  };
  for (const auto& [name, sentence] : cases) {
    SCOPED_TRACE(name);
    const std::string image = Build("misuse.cc", GetParam(), name);
    ASSERT_FALSE(HasFailure());
    EXPECT_EQ(Boot(image, kFatal, sentence), "");
  }
}

// Tests the test: an image that ends in a wrong way must be noticed.
TEST_P(OneWayTest, EveryBadEndIsNoticed) {
  const std::pair<const char*, std::string> cases[] = {
      {"EndsWell", ""},
      {"EndsWrong", "the emulator ended with " + std::to_string(ExitStatus(kWrong))},
      {"SaysNothing", "it did not print \"well\""},
      {"Returns", "the emulator ended with " + std::to_string(ExitStatus(kWrong))},
      {"NeverEnds", "it did not end"},
      {"Traps", "the emulator ended with " + std::to_string(ExitStatus(kUnexpected))},
  };
  for (const auto& [name, verdict] : cases) {
    SCOPED_TRACE(name);
    const std::string image = Build("ending.cc", GetParam(), name);
    ASSERT_FALSE(HasFailure());
    const int seconds = std::string(name) == "NeverEnds" ? 2 : 60;
    const std::string found = Boot(image, kWell, "well", seconds);
    EXPECT_EQ(found.substr(0, found.find(", and printed")), verdict) << found;
  }
}

// --- Requirements of the core --------------------------------------------------------------------

class CoreTest : public BareMetalTest {};

INSTANTIATE_TEST_SUITE_P(All, CoreTest, ::testing::Values(kGccO2, kClangO2), &NameOf);

TEST_P(CoreTest, NeedsNoFunctionOfASystem) {
  const std::string object = TempFile("core.o");
  RunTool({machine->tools + "ld", "-r", Compile("testing/bare_metal/core.cc", GetParam()),
           Compile(Backend(), GetParam()), "-o", object});
  ASSERT_FALSE(HasFailure());
  // Functions that compilers call implicitly, the user's own hook, and the memory that the program
  // names.
  const std::set<std::string> allowed = {"fringe_fatal", "memcmp", "memcpy",
                                         "memmove",      "memory", "memset"};
  std::set<std::string> needed;
  for (const std::string& line :
       SplitLines(RunTool({machine->tools + "nm", "--undefined-only", "--format=posix", object}))) {
    // "memcpy U         ". Weak symbols (w, v) are optional.
    const std::string symbol = line.substr(0, line.find(' '));
    const std::string type = line.substr(symbol.size(), 2);
    if (type == " w" || type == " v") continue;
    needed.insert(symbol);
    EXPECT_EQ(allowed.count(symbol), 1U) << "the core needs " << symbol;
  }
  // Otherwise the program uses nothing of the core.
  EXPECT_EQ(needed.count("fringe_fatal"), 1U);
  EXPECT_EQ(needed.count("memory"), 1U);
}

TEST_P(CoreTest, IncludesNoHeaderOfASystem) {
  // C++20 itself declares all of these freestanding except `functional`, `memory`, `optional`,
  // `ranges` and `span`. Later standards declare the parts of those that the core uses.
  const std::set<std::string> standard = {
      "bit", "concepts", "cstddef", "cstdint", "functional",  "iterator", "memory",
      "new", "optional", "ranges",  "span",    "type_traits", "utility",
  };
  const std::set<std::string> core = {
      "arch/arch.h",
      "arch/cfi.h",
      "arch/fatal.h",
      "arch/" + machine->name + ".h",
      "arch/link_record.h",
      "arch/shadow_stack.h",
      "fringe/caught_exception.h",
      "fringe/config.h",
      "fringe/control.h",
      "fringe/exception_state.h",
      "fringe/forced_unwind.h",
      "fringe/generator.h",
      "fringe/leak_roots.h",
      "fringe/on_stack.h",
      "fringe/sanitizer_hooks.h",
      "stacks/span_stack.h",
      "stacks/stack.h",
  };
  // With the line markers (`# 1 "fringe/../arch/arch.h" 1`) and the active directives.
  std::string file;
  std::set<std::string> seen;
  for (const std::string& line : SplitLines(RunTool(
           CompilerCommand(GetParam()) + Words{"-E", "-dI", "testing/bare_metal/core.cc"}))) {
    if (line.starts_with("# ") && line.find('"') != std::string::npos) {
      const size_t begin = line.find('"') + 1;
      // fringe's headers include one another by relative paths.
      file = std::filesystem::path(line.substr(begin, line.rfind('"') - begin)).lexically_normal();
      const bool is_ours = file[0] != '/' && file[0] != '<' && !file.starts_with("testing/");
      if (!is_ours) continue;
      seen.insert(file);
      EXPECT_EQ(core.count(file), 1U) << file << " is included, and not of the core";
    } else if (line.starts_with("#include <") && core.count(file) == 1) {
      const std::string header = line.substr(10, line.find('>') - 10);
      EXPECT_EQ(standard.count(header), 1U) << file << " includes <" << header << ">";
    }
  }
  EXPECT_EQ(seen, core);
}

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (const fringe::testing::Machine& each : fringe::testing::kMachines) {
    if (argc > 1 && each.name == argv[1]) fringe::testing::machine = &each;
  }
  if (fringe::testing::machine == nullptr) {
    std::cerr << "the first argument is no machine that is known\n";
    return 1;
  }
  fringe::testing::warnings.assign(argv + 2, argv + argc);
  return RUN_ALL_TESTS();
}

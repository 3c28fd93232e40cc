// Builds and runs CMake and make projects that use the package: with GCC and Clang, static and
// shared, in any folder.

#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "fringe/config.h"
#include "gtest/gtest.h"
#include "testing/support/command.h"

#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
#define FRINGE_UBSAN 1
#endif
#endif
#if !defined(FRINGE_UBSAN)
#define FRINGE_UBSAN 0
#endif

namespace fringe::testing {
namespace {

namespace fs = std::filesystem;

// The test's arguments: the folder with the archive, and the files of the project.
fs::path archive;
std::vector<fs::path> project_files;

std::string Contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

// The output of the project's program.
constexpr char kOutput[] =
    "1\n2\n3\n42\nunwound\nthrown through a resume\n43\nspan: used\nan error of Abseil's\n";

class PackageTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fs::path(::testing::TempDir()) / "package";
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "first");
    const CommandResult result = RunCommand({"tar", "-xzf", archive, "-C", folder_ / "first"});
    ASSERT_EQ(result.exit_status, 0) << result.output;
    const std::string name = archive.filename();
    ASSERT_TRUE(name.ends_with(".tar.gz")) << name;
    root_ = name.substr(0, name.size() - std::string(".tar.gz").size());
    version_ = root_.substr(root_.find('-') + 1);

    // Moves it to another folder, whose name contains a space.
    prefix_ = folder_ / "moved here";
    fs::rename(folder_ / "first" / root_, prefix_);
  }

  // Returns: a new folder with the project's files, and no others.
  static fs::path Project(const std::string& name) {
    const fs::path project = folder_ / name;
    fs::create_directories(project);
    for (const fs::path& file : project_files) fs::copy(file, project / file.filename());
    return project;
  }

  static void ExpectOutput(const std::vector<std::string>& command) {
    const CommandResult result = RunCommand(command);
    EXPECT_EQ(result.exit_status, 0) << command.back();
    EXPECT_EQ(result.output, kOutput) << command.back();
  }

  static inline fs::path folder_;
  static inline fs::path prefix_;
  static inline std::string root_;
  static inline std::string version_;
};

TEST_F(PackageTest, IsNamedAfterItsVersion) {
  EXPECT_TRUE(std::regex_match(root_, std::regex(R"(fringe-\d+\.\d+\.\d+)"))) << root_;
  const std::string pc = Contents(prefix_ / "lib/pkgconfig/fringe.pc");
  EXPECT_NE(pc.find("\nVersion: " + version_ + "\n"), std::string::npos) << pc;
  EXPECT_EQ(pc.find('@'), std::string::npos) << pc;
}

// The same sources must produce the same bytes.
TEST_F(PackageTest, HoldsNoTimesAndNoOwners) {
  const CommandResult list = RunCommand({"tar", "--utc", "-tvzf", archive});
  ASSERT_EQ(list.exit_status, 0) << list.output;
  const std::regex uniform(
      R"([dl-]\S{9} root/root +\d+ 1980-01-01 00:00 fringe-\S+/\S*( -> \S+)?)");
  std::set<std::string> names;
  std::string last;
  for (const std::string& line : SplitLines(list.output)) {
    EXPECT_TRUE(std::regex_match(line, uniform)) << line;
    const size_t begin = line.find("fringe-");
    const std::string name = line.substr(begin, line.find(' ', begin) - begin);
    EXPECT_LT(last, name);
    last = name;
  }
}

TEST_F(PackageTest, NamesOfTheSharedLibraryLeadToIt) {
  const fs::path library = prefix_ / "lib" / ("libfringe.so." + version_);
  EXPECT_EQ(fs::canonical(prefix_ / "lib/libfringe.so"), fs::canonical(library));
  const CommandResult dynamic = RunCommand({"readelf", "-dW", library});
  std::smatch match;
  ASSERT_TRUE(std::regex_search(dynamic.output, match, std::regex(R"(soname: \[(.*)\])")))
      << dynamic.output;
  EXPECT_EQ(fs::canonical(prefix_ / "lib" / match.str(1)), fs::canonical(library));
  // A program runs only with versions of the interface that it was linked with.
  EXPECT_TRUE(version_.starts_with(match.str(1).substr(std::string("libfringe.so.").size()) + "."));
  EXPECT_EQ(dynamic.output.find("TEXTREL"), std::string::npos);
  EXPECT_EQ(dynamic.output.find("RUNPATH"), std::string::npos) << dynamic.output;
}

TEST_F(PackageTest, CMakeTellsWhichVersionsAreCompatible) {
  if (!IsInstalled("cmake")) GTEST_SKIP() << "cmake is not installed";
  const fs::path script = folder_ / "compatible.cmake";
  std::ofstream(script) << "include(\""
                        << (prefix_ / "lib/cmake/fringe/fringeConfigVersion.cmake").string()
                        << "\")\n"
                        << "foreach(answer COMPATIBLE EXACT UNSUITABLE)\n"
                        << "  if(PACKAGE_VERSION_${answer})\n    message(STATUS ${answer})\n  "
                           "endif()\nendforeach()\n";
  const auto ask = [&script](const std::vector<std::string>& variables) {
    std::vector<std::string> words = {"cmake"};
    for (const std::string& variable : variables) words.push_back("-DPACKAGE_FIND_" + variable);
    words.insert(words.end(), {"-P", script});
    return RunCommand(words).output;
  };
  const int major = std::stoi(version_);
  const int minor = std::stoi(version_.substr(version_.find('.') + 1));
  const std::string this_minor = std::to_string(major) + "." + std::to_string(minor);
  const std::string next_minor = std::to_string(major) + "." + std::to_string(minor + 1);
  const std::string next_major = std::to_string(major + 1);

  EXPECT_EQ(ask({"VERSION=" + version_}), "-- COMPATIBLE\n-- EXACT\n");
  EXPECT_EQ(ask({"VERSION=" + this_minor}).find("-- COMPATIBLE\n"), 0U);
  for (const std::string& other : {this_minor + ".999", this_minor + "1", next_minor, next_major}) {
    EXPECT_EQ(ask({"VERSION=" + other}), "") << other;
  }

  // Before 1.0, a program for the previous minor version may not compile with this one.
  if (major == 0 && minor > 0) {
    EXPECT_EQ(ask({"VERSION=0." + std::to_string(minor - 1)}), "");
  }

  const auto range = [&](const std::string& maximum, const std::string& whether) {
    return ask({"VERSION_RANGE=0.0.1..." + maximum, "VERSION_RANGE_MAX=" + whether,
                "VERSION_MIN=0.0.1", "VERSION_MAX=" + maximum});
  };
  EXPECT_EQ(range(next_major, "EXCLUDE"), "-- COMPATIBLE\n");
  EXPECT_EQ(range(version_, "INCLUDE"), "-- COMPATIBLE\n");
  EXPECT_EQ(range(version_, "EXCLUDE"), "");
  EXPECT_EQ(range("0.0.5", "INCLUDE"), "");

  const CommandResult other_cpu = RunCommand(
      {"cmake", "-DCMAKE_SIZEOF_VOID_P=2", "-DPACKAGE_FIND_VERSION=" + version_, "-P", script});
  EXPECT_EQ(other_cpu.output, "-- COMPATIBLE\n-- EXACT\n-- UNSUITABLE\n");
}

// The parameter is the compiler.
class ProjectTest : public PackageTest, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    if (!FRINGE_EXCEPTIONS) GTEST_SKIP() << "the project has exceptions, and this build has none";
    if (FRINGE_ASAN || FRINGE_TSAN || FRINGE_UBSAN) {
      GTEST_SKIP()
          << "what a sanitizer's build packs is of use to programs with that sanitizer only";
    }
    const std::string library = Contents(prefix_ / "lib/libfringe.a");
    if (library.find(".gnu.lto_") != std::string::npos ||
        library.find("BC\xC0\xDE") != std::string::npos) {
      GTEST_SKIP() << "what is built with -flto is for the compiler that built it";
    }
    for (const std::string& program : Programs()) {
      if (!IsInstalled(program)) GTEST_SKIP() << program << " is not installed";
    }
  }

  virtual std::vector<std::string> Programs() const = 0;
};

class CMakeTest : public ProjectTest {
 protected:
  std::vector<std::string> Programs() const override { return {GetParam(), "cmake", "make"}; }
};

class MakeTest : public ProjectTest {
 protected:
  std::vector<std::string> Programs() const override { return {GetParam(), "make", "pkg-config"}; }
};

TEST_P(CMakeTest, BuildsAndRuns) {
  const fs::path project = Project("cmake " + GetParam());
  const fs::path build = project / "build";
  const CommandResult configured =
      RunCommand({"cmake", "-G", "Unix Makefiles", "-S", project, "-B", build,
                  "-DCMAKE_PREFIX_PATH=" + prefix_.string(), "-DCMAKE_CXX_COMPILER=" + GetParam(),
                  "-DWANTED_VERSION=" + version_, "-DBUILD_SHARED_LIBS=ON"});
  ASSERT_EQ(configured.exit_status, 0) << configured.output;
  const CommandResult built = RunCommand({"cmake", "--build", build});
  ASSERT_EQ(built.exit_status, 0) << built.output;
  for (const char* const program : {"either", "inside", "shared", "static"}) {
    ExpectOutput({build / program});
    const CommandResult dynamic = RunCommand({"readelf", "-dW", build / program});
    EXPECT_EQ(dynamic.output.find("[libfringe.so.") != std::string::npos,
              program == std::string("either") || program == std::string("shared"))
        << program << "\n"
        << dynamic.output;
  }
}

TEST_P(MakeTest, BuildsAndRuns) {
  setenv("PKG_CONFIG_PATH", (prefix_ / "lib/pkgconfig").c_str(), 1);
  const CommandResult version = RunCommand({"pkg-config", "--modversion", "fringe"});
  EXPECT_EQ(version.output, version_ + "\n");
  const fs::path project = Project("make " + GetParam());
  const CommandResult built = RunCommand({"make", "-C", project, "CXX=" + GetParam()});
  ASSERT_EQ(built.exit_status, 0) << built.output;
  ExpectOutput({project / "static"});
  ExpectOutput({"env", "LD_LIBRARY_PATH=" + project.string() + ":" + (prefix_ / "lib").string(),
                project / "shared"});
}

// The line in the README, in the folder that the archive was unpacked in.
TEST_P(MakeTest, ProgramOfTheReadmeRunsWithoutLibraryPath) {
  const std::string text = Contents(prefix_ / "share/doc/fringe/README.md");
  const size_t begin = text.find("g++ -std=c++20 hello.cc");
  ASSERT_NE(begin, std::string::npos);
  std::string line = text.substr(begin, text.find("```", begin) - begin);
  line.replace(0, 3, GetParam());
  const fs::path folder = folder_ / ("readme " + GetParam());
  fs::create_directories(folder);
  std::ofstream(folder / "hello.cc")
      << "#include <cstdio>\n"
         "#include \"fringe/generator.h\"\n"
         "int main() {\n"
         "  fringe::Generator<int> gen([](auto& y) { y.Suspend(42); });\n"
         "  std::printf(\"%d\\n\", *gen.Resume());\n"
         "  while (gen.Resume()) {}\n"
         "}\n";
  // The README's folder has no space, which pkg-config would quote.
  const fs::path link = fs::temp_directory_path() / ("fringe_" + std::to_string(getpid()));
  fs::create_directory_symlink(prefix_, link);
  setenv("PKG_CONFIG_PATH", (link / "lib/pkgconfig").c_str(), 1);
  const CommandResult built = RunCommand({"sh", "-ec", "cd \"$1\"\n" + line, "sh", folder});
  EXPECT_EQ(built.exit_status, 0) << line << "\n" << built.output;
  EXPECT_EQ(RunCommand({"env", "-u", "LD_LIBRARY_PATH", folder / "hello"}).output, "42\n");
  fs::remove(link);
}

TEST_F(PackageTest, LinksInDocumentsLeadToFiles) {
  const fs::path documents = prefix_ / "share/doc/fringe";
  EXPECT_TRUE(fs::exists(documents / "docs/README.md"));
  const std::regex link(R"(\]\(([^()\s#]+)(#[^()\s]*)?\))");
  size_t links = 0;
  for (const auto& entry : fs::recursive_directory_iterator(documents)) {
    if (entry.path().extension() != ".md") continue;
    std::istringstream lines(Contents(entry.path()));
    bool in_code = false;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("```")) in_code = !in_code;
      if (in_code) continue;
      for (std::sregex_iterator i(line.begin(), line.end(), link); i != std::sregex_iterator();
           ++i) {
        const std::string target = (*i)[1];
        if (target.find("://") != std::string::npos) continue;
        ++links;
        EXPECT_TRUE(fs::exists(entry.path().parent_path() / target))
            << entry.path() << " links to " << target;
      }
    }
  }
  EXPECT_GT(links, 50u);
}

// Looks for `main` in a backtrace from inside a generator.
constexpr char kBacktraceProgram[] = R"(
#include <unwind.h>

#include <cstdio>

#include "fringe/generator.h"

int main();
static bool sees_main = false;
static _Unwind_Reason_Code LookForMain(_Unwind_Context* context, void*) {
  void* const pc = reinterpret_cast<void*>(_Unwind_GetIP(context) - 1);
  if (_Unwind_FindEnclosingFunction(pc) == reinterpret_cast<void*>(&main)) sees_main = true;
  return _URC_NO_REASON;
}
int main() {
  fringe::Generator<int> gen([](auto& yielder) {
    _Unwind_Backtrace(&LookForMain, nullptr);
    yielder.Suspend(1);
  });
  gen.Resume();
  std::puts(sees_main ? "main" : "no main");
}
)";

// At fixed addresses, the address of a function in a shared library is that of an entry in the
// program's procedure linkage table.
TEST_P(MakeTest, BacktracesReachMainHoweverItIsLinked) {
  setenv("PKG_CONFIG_PATH", (prefix_ / "lib/pkgconfig").c_str(), 1);
  const fs::path folder = folder_ / ("backtrace " + GetParam());
  fs::create_directories(folder);
  std::ofstream(folder / "backtrace.cc") << kBacktraceProgram;
  for (const auto& [flags, libraries] : std::vector<std::pair<std::string, std::string>>{
           {"-fPIE -pie", ""}, {"-fno-pie -no-pie", ""}, {"-fno-pie -static", " --static"}}) {
    // By `eval`, because pkg-config quotes the space in the folder's name for a shell.
    const std::string command = GetParam() + " -std=c++20 -O2 " + flags +
                                " $(pkg-config --cflags fringe) backtrace.cc -o backtrace" +
                                " $(pkg-config --libs" + libraries + " fringe)";
    const CommandResult built =
        RunCommand({"sh", "-ec", "cd \"$1\"\neval \"" + command + "\"", "sh", folder});
    ASSERT_EQ(built.exit_status, 0) << flags << "\n" << built.output;
    const CommandResult ran =
        RunCommand({"env", "LD_LIBRARY_PATH=" + (prefix_ / "lib").string(), folder / "backtrace"});
    EXPECT_EQ(ran.output, "main\n") << flags;
  }
}

std::string NameOfCompiler(const ::testing::TestParamInfo<std::string>& compiler) {
  return compiler.param == "g++" ? "Gcc" : "Clang";
}

INSTANTIATE_TEST_SUITE_P(Compilers, CMakeTest, ::testing::Values("g++", "clang++"), NameOfCompiler);
INSTANTIATE_TEST_SUITE_P(Compilers, MakeTest, ::testing::Values("g++", "clang++"), NameOfCompiler);

}  // namespace
}  // namespace fringe::testing

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc < 3) {
    std::cerr << "package_test FOLDER FILE...: the folder of the package, the project's files\n";
    return 2;
  }
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    fringe::testing::archive = std::filesystem::absolute(entry.path());
  }
  for (int i = 2; i < argc; ++i) fringe::testing::project_files.emplace_back(argv[i]);
  return RUN_ALL_TESTS();
}

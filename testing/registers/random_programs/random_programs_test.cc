// Runs random programs that keep values of every kind across resumes and suspends, and checks the
// values after each. write_programs.cc describes them.

#include <cstddef>
#include <span>
#include <string>

#include "arch/arch.h"
#include "fringe/generator.h"
#include "gtest/gtest.h"
#include "testing/registers/extensions.h"
#include "testing/registers/opaque.h"
#include "testing/registers/random_programs/keeper.h"
#include "testing/support/new_stack.h"
#include "testing/support/raw_generator.h"

namespace fringe::testing {

// The tables of the generated files. BUILD has the same seeds. break_backend leaves out the wide
// programs.
#define FRINGE_FOR_EACH_NARROW_SEED(F) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8)
#if defined(FRINGE_WIDE_PROGRAMS)
#define FRINGE_FOR_EACH_SEED(F) FRINGE_FOR_EACH_NARROW_SEED(F) F(11) F(12) F(13)
constexpr size_t kLeastPrograms = 275;
#else
#define FRINGE_FOR_EACH_SEED(F) FRINGE_FOR_EACH_NARROW_SEED(F)
constexpr size_t kLeastPrograms = 200;
#endif
#define FRINGE_DECLARE_TABLES(SEED)              \
  extern const RawProgram kRawPrograms_##SEED[]; \
  extern const GeneratorProgram kGeneratorPrograms_##SEED[];
FRINGE_FOR_EACH_SEED(FRINGE_DECLARE_TABLES)

namespace {

constexpr size_t kStackBytes = 256 << 10;

// Valgrind tracks which part of the thread's own stack has been touched. It would warn of a switch
// back to a frame whose lowest page has not been, because a switch pushes nothing that would touch
// it.
const bool kStackIsTouched = [] {
  volatile std::byte block[128 << 10];
  for (size_t i = sizeof block; i > 4096; i -= 4096) block[i - 1] = std::byte();
  return true;
}();

#define FRINGE_RAW_TABLE(SEED) kRawPrograms_##SEED,
const RawProgram* const kRawTables[] = {FRINGE_FOR_EACH_SEED(FRINGE_RAW_TABLE)};
#define FRINGE_GENERATOR_TABLE(SEED) kGeneratorPrograms_##SEED,
const GeneratorProgram* const kGeneratorTables[] = {FRINGE_FOR_EACH_SEED(FRINGE_GENERATOR_TABLE)};

[[gnu::always_inline]] inline void Scramble() {
  ScrambleRegisters();
  ScrambleExtensions();
}

// --- With the raw switch -------------------------------------------------------------------------

// The message of the first resume.
struct Task {
  const RawProgram* program;
  Keeper* keeper;
  bool finished = false;
};

void RunBodyOnce(uintptr_t word, arch::LinkRecord* record, arch::LinkRecord*) {
  auto* const task = reinterpret_cast<Task*>(word);
  task->program->body(*task->keeper, record);
  task->finished = true;
  for (;;) arch::Suspend(0, record);
}

void RunBodyForever(uintptr_t word, arch::LinkRecord* record, arch::LinkRecord*) {
  const Task task = *reinterpret_cast<Task*>(word);
  arch::Suspend(0, record);
  for (;;) task.program->body(*task.keeper, record);
}

void ScrambleForever(uintptr_t, arch::LinkRecord* record, arch::LinkRecord*) {
  for (;;) {
    Scramble();
    arch::Suspend(0, record);
  }
}

void RawResumerKeepsItsValues(const RawProgram& program) {
  const RawGenerator<> generator(NewStack(kStackBytes), &ScrambleForever);
  Keeper keeper;
  program.resumer(keeper, generator.record());
  EXPECT_EQ(keeper.wrong(), 0U);
}

void RawBodyKeepsItsValues(const RawProgram& program) {
  const RawGenerator<> generator(NewStack(kStackBytes), &RunBodyOnce);
  Keeper keeper;
  Task task = {&program, &keeper};
  while (!task.finished) {
    Scramble();
    arch::Resume(reinterpret_cast<uintptr_t>(&task), generator.record());
  }
  EXPECT_EQ(keeper.wrong(), 0U);
}

void RawBothKeepTheirValues(const RawProgram& program) {
  const RawGenerator<> generator(NewStack(kStackBytes), &RunBodyForever);
  Keeper body_keeper;
  Task task = {&program, &body_keeper};
  arch::Resume(reinterpret_cast<uintptr_t>(&task), generator.record());
  Keeper resumer_keeper;
  for (int i = 0; i < 3; ++i) program.resumer(resumer_keeper, generator.record());
  EXPECT_EQ(resumer_keeper.wrong(), 0U);
  EXPECT_EQ(body_keeper.wrong(), 0U);
}

// --- With Generator ------------------------------------------------------------------------------

// Bodies run to their end, because destroying an unfinished generator needs exceptions.

void ResumerKeepsItsValues(const GeneratorProgram& program) {
  bool finish = false;
  auto generator = MakeGenerator<void>(NewStack(kStackBytes), [&](Yielder<void>& yielder) {
    while (!finish) {
      Scramble();
      yielder.Suspend();
    }
  });
  Keeper keeper;
  program.resumer(keeper, generator);
  EXPECT_EQ(keeper.wrong(), 0U);
  finish = true;
  EXPECT_FALSE(generator.Resume());
}

void BodyKeepsItsValues(const GeneratorProgram& program) {
  Keeper keeper;
  auto generator = MakeGenerator<void>(
      NewStack(kStackBytes), [&](Yielder<void>& yielder) { program.body(keeper, yielder); });
  for (bool resumed = true; resumed;) {
    Scramble();
    resumed = generator.Resume();
  }
  EXPECT_EQ(keeper.wrong(), 0U);
}

void BothKeepTheirValues(const GeneratorProgram& program) {
  bool finish = false;
  Keeper body_keeper;
  auto generator = MakeGenerator<void>(NewStack(kStackBytes), [&](Yielder<void>& yielder) {
    while (!finish) program.body(body_keeper, yielder);
  });
  Keeper resumer_keeper;
  for (int i = 0; i < 3; ++i) program.resumer(resumer_keeper, generator);
  finish = true;
  while (generator.Resume()) {
  }
  EXPECT_EQ(resumer_keeper.wrong(), 0U);
  EXPECT_EQ(body_keeper.wrong(), 0U);
}

// --- The tests -----------------------------------------------------------------------------------

template <typename Program>
class ProgramTest : public ::testing::Test {
 public:
  using Function = void (*)(const Program& program);

  ProgramTest(const Program& program, Function test) : program_(program), test_(test) {}

  void TestBody() override {
    if (program_.is_wide && !HasWideRegisters()) {
      GTEST_SKIP() << "this CPU has no registers beyond those of the file";
    }
    test_(program_);
  }

 private:
  const Program& program_;
  const Function test_;
};

// Registers the tests of each program in these tables. Tests with parameters would take longer to
// compile than the rest of this file. Returns the number of programs.
template <typename Program>
size_t Register(const std::string& suite, std::span<const Program* const> tables,
                typename ProgramTest<Program>::Function resumer_keeps,
                typename ProgramTest<Program>::Function body_keeps,
                typename ProgramTest<Program>::Function both_keep) {
  size_t programs = 0;
  for (const Program* program : tables) {
    for (; program->name != nullptr; ++program, ++programs) {
      const auto add = [&](const char* name, typename ProgramTest<Program>::Function test) {
        ::testing::RegisterTest(
            ((program->is_wide ? "Wide" : "") + suite).c_str(),
            (std::string(name) + "/" + program->name).c_str(), nullptr, nullptr, __FILE__, __LINE__,
            [=]() -> ProgramTest<Program>* { return new ProgramTest<Program>(*program, test); });
      };
      add("ResumerKeepsItsValues", resumer_keeps);
      add("BodyKeepsItsValues", body_keeps);
      add("BothKeepTheirValues", both_keep);
    }
  }
  return programs;
}

const size_t kPrograms =
    Register<RawProgram>("RawProgramTest", kRawTables, &RawResumerKeepsItsValues,
                         &RawBodyKeepsItsValues, &RawBothKeepTheirValues) +
    Register<GeneratorProgram>("GeneratorProgramTest", kGeneratorTables, &ResumerKeepsItsValues,
                               &BodyKeepsItsValues, &BothKeepTheirValues);

// The minimum: each program is a function on each side.
TEST(RandomProgramsTest, AreAsManyAsWanted) {
  EXPECT_TRUE(kStackIsTouched);
  EXPECT_GE(kPrograms, kLeastPrograms);
}

}  // namespace
}  // namespace fringe::testing

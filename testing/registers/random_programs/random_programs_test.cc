// Runs random programs that keep values of every kind across resumes and suspends, and checks the
// values after each. write_programs.cc describes them.

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "fringe/generator.h"
#include "gtest/gtest.h"
#include "testing/registers/extensions.h"
#include "testing/registers/opaque.h"
#include "testing/registers/random_programs/keeper.h"
#include "testing/support/new_stack.h"
#include "testing/support/raw_generator.h"

namespace fringe::testing {

// The tables of the generated files. BUILD has the same seeds.
#if defined(FRINGE_WIDE_PROGRAMS)
#define FRINGE_FOR_EACH_SEED(F) F(11) F(12) F(13)
constexpr size_t kLeastPrograms = 75;
#else
#define FRINGE_FOR_EACH_SEED(F) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8)
constexpr size_t kLeastPrograms = 200;
#endif
#define FRINGE_DECLARE_TABLES(SEED)              \
  extern const RawProgram kRawPrograms_##SEED[]; \
  extern const GeneratorProgram kGeneratorPrograms_##SEED[];
FRINGE_FOR_EACH_SEED(FRINGE_DECLARE_TABLES)

void PrintTo(const RawProgram& program, std::ostream* out) { *out << program.name; }
void PrintTo(const GeneratorProgram& program, std::ostream* out) { *out << program.name; }

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
const std::vector<const RawProgram*> kRawTables = {FRINGE_FOR_EACH_SEED(FRINGE_RAW_TABLE)};
#define FRINGE_GENERATOR_TABLE(SEED) kGeneratorPrograms_##SEED,
const std::vector<const GeneratorProgram*> kGeneratorTables = {
    FRINGE_FOR_EACH_SEED(FRINGE_GENERATOR_TABLE)};

template <typename Program>
std::vector<Program> All(const std::vector<const Program*>& tables) {
  std::vector<Program> programs;
  for (const Program* table : tables) {
    for (; table->name != nullptr; ++table) programs.push_back(*table);
  }
  return programs;
}

template <typename Program>
std::string NameOf(const ::testing::TestParamInfo<Program>& info) {
  return info.param.name;
}

template <typename Program>
class ProgramTest : public ::testing::TestWithParam<Program> {
 protected:
  void SetUp() override {
    if (this->GetParam().is_wide && !HasWideRegisters()) {
      GTEST_SKIP() << "this CPU has no registers beyond those of the file";
    }
  }
};

[[gnu::always_inline]] inline void Scramble() {
  ScrambleRegisters();
  ScrambleExtensions();
}

// --- With the raw switch -------------------------------------------------------------------------

class RawProgramTest : public ProgramTest<RawProgram> {};
INSTANTIATE_TEST_SUITE_P(Random, RawProgramTest, ::testing::ValuesIn(All(kRawTables)),
                         &NameOf<RawProgram>);

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

TEST_P(RawProgramTest, ResumerKeepsItsValues) {
  const RawGenerator<> generator(NewStack(kStackBytes), &ScrambleForever);
  Keeper keeper;
  GetParam().resumer(keeper, generator.record());
  EXPECT_EQ(keeper.wrong(), 0U);
}

TEST_P(RawProgramTest, BodyKeepsItsValues) {
  const RawGenerator<> generator(NewStack(kStackBytes), &RunBodyOnce);
  Keeper keeper;
  Task task = {&GetParam(), &keeper};
  while (!task.finished) {
    Scramble();
    arch::Resume(reinterpret_cast<uintptr_t>(&task), generator.record());
  }
  EXPECT_EQ(keeper.wrong(), 0U);
}

TEST_P(RawProgramTest, BothKeepTheirValues) {
  const RawGenerator<> generator(NewStack(kStackBytes), &RunBodyForever);
  Keeper body_keeper;
  Task task = {&GetParam(), &body_keeper};
  arch::Resume(reinterpret_cast<uintptr_t>(&task), generator.record());
  Keeper resumer_keeper;
  for (int i = 0; i < 3; ++i) GetParam().resumer(resumer_keeper, generator.record());
  EXPECT_EQ(resumer_keeper.wrong(), 0U);
  EXPECT_EQ(body_keeper.wrong(), 0U);
}

// --- With Generator ------------------------------------------------------------------------------

class GeneratorProgramTest : public ProgramTest<GeneratorProgram> {};
INSTANTIATE_TEST_SUITE_P(Random, GeneratorProgramTest, ::testing::ValuesIn(All(kGeneratorTables)),
                         &NameOf<GeneratorProgram>);

// Bodies run to their end, because destroying an unfinished generator needs exceptions.

TEST_P(GeneratorProgramTest, ResumerKeepsItsValues) {
  bool finish = false;
  auto generator = MakeGenerator<void>(NewStack(kStackBytes), [&](Yielder<void>& yielder) {
    while (!finish) {
      Scramble();
      yielder.Suspend();
    }
  });
  Keeper keeper;
  GetParam().resumer(keeper, generator);
  EXPECT_EQ(keeper.wrong(), 0U);
  finish = true;
  EXPECT_FALSE(generator.Resume());
}

TEST_P(GeneratorProgramTest, BodyKeepsItsValues) {
  Keeper keeper;
  auto generator = MakeGenerator<void>(
      NewStack(kStackBytes), [&](Yielder<void>& yielder) { GetParam().body(keeper, yielder); });
  for (bool resumed = true; resumed;) {
    Scramble();
    resumed = generator.Resume();
  }
  EXPECT_EQ(keeper.wrong(), 0U);
}

TEST_P(GeneratorProgramTest, BothKeepTheirValues) {
  bool finish = false;
  Keeper body_keeper;
  auto generator = MakeGenerator<void>(NewStack(kStackBytes), [&](Yielder<void>& yielder) {
    while (!finish) GetParam().body(body_keeper, yielder);
  });
  Keeper resumer_keeper;
  for (int i = 0; i < 3; ++i) GetParam().resumer(resumer_keeper, generator);
  finish = true;
  while (generator.Resume()) {
  }
  EXPECT_EQ(resumer_keeper.wrong(), 0U);
  EXPECT_EQ(body_keeper.wrong(), 0U);
}

// The minimum: each program is a function on each side.
TEST(RandomProgramsTest, AreAsManyAsWanted) {
  EXPECT_TRUE(kStackIsTouched);
  EXPECT_GE(All(kRawTables).size() + All(kGeneratorTables).size(), kLeastPrograms);
}

}  // namespace
}  // namespace fringe::testing

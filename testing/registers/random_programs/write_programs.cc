// Writes random C++ functions that keep values of every kind across switches:
//
//   write_programs SEED PROGRAMS OUTPUT [wide]
//
// SEED identifies the file and makes its content reproducible. Each program is the two sides of a
// generator, alternately with the raw switch and with Generator. OUTPUT defines the tables
// `kRawPrograms_SEED` and `kGeneratorPrograms_SEED`.

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {

// How to hide, create and change a value of each type. A type that is listed more often is chosen
// more often.
enum class Type {
  kUint64,
  kUint32,
  kWideInteger,
  kPointer,
  kDouble,
  kFloat,
  kLongDouble,
  kV128,
  kV256,
  kV512,
  kMask
};
constexpr Type kTypes[] = {
    Type::kUint64,     Type::kUint64, Type::kUint64,      Type::kUint64,  Type::kUint64,
    Type::kUint32,     Type::kUint32, Type::kWideInteger, Type::kPointer, Type::kDouble,
    Type::kDouble,     Type::kDouble, Type::kDouble,      Type::kFloat,   Type::kFloat,
    Type::kLongDouble, Type::kV128,   Type::kV128,        Type::kV128,    Type::kV256,
    Type::kV256,       Type::kV512,
};

// The same for functions with more registers than their file.
constexpr Type kWideTypes[] = {
    Type::kUint64, Type::kUint32, Type::kDouble, Type::kV128, Type::kV128, Type::kV256,
    Type::kV512,   Type::kV512,   Type::kV512,   Type::kMask, Type::kMask,
};

const char* NameOf(Type type) {
  switch (type) {
    case Type::kUint64:
      return "uint64_t";
    case Type::kUint32:
      return "uint32_t";
    case Type::kWideInteger:
      return "WideInteger";
    case Type::kPointer:
      return "const void*";
    case Type::kDouble:
      return "double";
    case Type::kFloat:
      return "float";
    case Type::kLongDouble:
      return "long double";
    case Type::kV128:
      return "Vector128";
    case Type::kV256:
      return "Vector256";
    case Type::kV512:
      return "Vector512";
    case Type::kMask:
      return "uint16_t";
  }
  std::abort();
}

// Writes one function.
class FunctionWriter {
 public:
  FunctionWriter(std::mt19937_64& random, std::ostream& out, std::string switch_statement,
                 bool is_wide)
      : random_(random),
        out_(out),
        switch_statement_(std::move(switch_statement)),
        is_wide_(is_wide),
        is_leaf_(OneIn(3)),
        has_blocks_(OneIn(2)) {}

  void Write(const std::string& signature) {
    out_ << "\n// " << (is_leaf_ ? "A leaf function.\n" : "Calls others.\n");
    out_ << (is_wide_ ? "FRINGE_WIDE_FUNCTION" : "[[gnu::noinline]]") << " " << signature << " {\n";
    WriteScope(/*depth=*/0, 6 + Below(12));
    out_ << "}\n";
  }

 private:
  // An object to check. A block or array has bytes, a value has none.
  struct Local {
    std::string name;
    size_t slot;
    Type type;
    size_t bytes;
    size_t alignment;
    unsigned seed;
  };

  static constexpr size_t kSlots = 64;  // Keeper::kSlots

  size_t Below(size_t limit) { return static_cast<size_t>(random_() % limit); }
  bool OneIn(size_t n) { return Below(n) == 0; }

  std::ostream& Line() { return out_ << std::string(2 * indent_, ' '); }

  // The statements between two braces, and the checks at the end.
  void WriteScope(size_t depth, size_t statements) {
    ++indent_;
    const size_t locals_before = locals_.size();
    bool switched = false;
    // Starts with something that a switch could lose.
    for (size_t i = 0; i < 1 + Below(depth == 0 ? 12 : 4); ++i) WriteValue();
    for (size_t i = 0; i < statements; ++i) {
      switch (Below(12)) {
        case 0:
        case 1:
          WriteValue();
          break;
        case 2:
          WriteArray();
          break;
        case 3:
          if (has_blocks_ && !is_leaf_) WriteBlock();
          break;
        case 4:
        case 5:
          WriteChange();
          break;
        case 6:
        case 7:
        case 8:
          Line() << switch_statement_ << "\n";
          switched = true;
          break;
        case 9:
          if (!is_leaf_) WriteCall();
          break;
        case 10:
          if (!locals_.empty()) WriteCheck(locals_[Below(locals_.size())]);
          break;
        case 11:
          if (depth < 2) WriteCompound(depth);
          break;
      }
    }
    if (!switched) Line() << switch_statement_ << "\n";
    // At the outermost level these are all objects.
    for (size_t i = locals_before; i < locals_.size(); ++i) WriteCheck(locals_[i]);
    if (depth > 0) {
      for (size_t i = 0; i < locals_before; ++i) {
        if (OneIn(3)) WriteCheck(locals_[i]);
      }
    }
    locals_.resize(locals_before);
    --indent_;
  }

  // A nested scope.
  void WriteCompound(size_t depth) {
    const std::string number = std::to_string(next_++);
    switch (Below(3)) {
      case 0:
        Line() << "{\n";
        break;
      case 1:
        Line() << "int n" << number << " = " << 1 + Below(3) << ";\n";
        Line() << "Hide(n" << number << ");\n";
        Line() << "for (int i" << number << " = 0; i" << number << " < n" << number << "; ++i"
               << number << ") {\n";
        break;
      case 2:
        Line() << "bool b" << number << " = true;\n";
        Line() << "Hide(b" << number << ");\n";
        Line() << "if (b" << number << ") {\n";
        break;
    }
    WriteScope(depth + 1, 2 + Below(4));
    Line() << "}\n";
  }

  // An expression for a value that the compiler can compute. Hiding it removes that knowledge.
  std::string Initializer(Type type) {
    const std::string number = std::to_string(1 + Below(1000000));
    switch (type) {
      case Type::kUint64:
      case Type::kWideInteger:
        return number;
      case Type::kUint32:
        return number + "U";
      case Type::kMask:
        return std::to_string(1 + Below(65535));
      case Type::kPointer:
        return "reinterpret_cast<const void*>(uintptr_t{" + number + "})";
      case Type::kDouble:
        return number + ".5";
      case Type::kFloat:
        return std::to_string(1 + Below(10000)) + ".5F";
      case Type::kLongDouble:
        return number + ".5L";
      case Type::kV128:
        return "{" + number + ", 2}";
      case Type::kV256:
        return "{" + number + ", 2, 3, 4}";
      case Type::kV512:
        return "{" + number + ", 2, 3, 4, 5, 6, 7, 8}";
    }
    std::abort();
  }

  bool HasSlot() const { return next_slot_ < kSlots; }

  void WriteValue() {
    if (!HasSlot()) return;
    const Type type =
        is_wide_ ? kWideTypes[Below(std::size(kWideTypes))] : kTypes[Below(std::size(kTypes))];
    const Local local = {"v" + std::to_string(next_++), next_slot_++, type, 0, 0, 0};
    Line() << NameOf(type) << " " << local.name << " = " << Initializer(type) << ";\n";
    WriteHideAndNote(local);
    locals_.push_back(local);
  }

  // What hides a value in a register of the class that its type uses.
  const char* HideOf(Type type) const {
    if (!is_wide_) return "Hide";
    switch (type) {
      case Type::kV128:
        return "FRINGE_HIDE_WIDE_128";
      case Type::kV256:
        return "FRINGE_HIDE_WIDE_256";
      case Type::kV512:
        return "FRINGE_HIDE_WIDE_512";
      case Type::kMask:
        return "FRINGE_HIDE_MASK";
      default:
        return "Hide";
    }
  }

  void WriteHideAndNote(const Local& local) {
    Line() << HideOf(local.type) << "(" << local.name << ");\n";
    Line() << "keeper.Note(" << local.slot << ", " << local.name << ");\n";
  }

  // Computes a value from itself and another.
  void WriteChange() {
    std::vector<const Local*> values;
    for (const Local& local : locals_) {
      if (local.bytes == 0 && local.type != Type::kPointer) values.push_back(&local);
    }
    if (values.empty()) return;
    const Local* const changed = values[Below(values.size())];
    const Local* other = changed;
    for (const Local* value : values) {
      if (value->type == changed->type && OneIn(2)) other = value;
    }
    const bool is_integer = changed->type == Type::kUint64 || changed->type == Type::kUint32;
    if (changed->type == Type::kMask) {  // Smaller than `int`.
      Line() << changed->name << " = static_cast<uint16_t>(" << changed->name << " ^ ~"
             << other->name << ");\n";
    } else {
      Line() << changed->name << " = " << changed->name << (is_integer && OneIn(2) ? " ^ " : " + ")
             << other->name << ";\n";
    }
    WriteHideAndNote(*changed);
  }

  // A local array, aligned more than the stack or not.
  void WriteArray() {
    if (!HasSlot()) return;
    const size_t alignment = size_t{8} << (OneIn(2) ? Below(2) : 2 + Below(3));
    const size_t words = 1 + Below(12);
    const Local local = {
        "a" + std::to_string(next_++),    next_slot_++, Type::kUint64, 8 * words, alignment,
        static_cast<unsigned>(Below(256))};
    Line() << "alignas(" << alignment << ") uint64_t " << local.name << "[" << words << "];\n";
    Line() << "for (uint64_t i = 0; i < " << words << "; ++i) " << local.name << "[i] = i + "
           << local.seed << ";\n";
    Line() << "Hide(" << local.name << ");\n";
    locals_.push_back(local);
  }

  // Memory from `alloca`, with a size that the compiler does not know.
  void WriteBlock() {
    if (!HasSlot()) return;
    const Local local = {
        "p" + std::to_string(next_++),    next_slot_++, Type::kPointer, 1 + Below(300), 0,
        static_cast<unsigned>(Below(256))};
    Line() << "size_t " << local.name << "_bytes = " << local.bytes << ";\n";
    Line() << "Hide(" << local.name << "_bytes);\n";
    Line() << "auto* const " << local.name << " = static_cast<unsigned char*>(__builtin_alloca("
           << local.name << "_bytes));\n";
    Line() << "FillBlock(" << local.name << ", " << local.name << "_bytes, " << local.seed
           << ");\n";
    locals_.push_back(local);
  }

  void WriteCall() {
    const Local* integer = nullptr;
    const Local* real = nullptr;
    for (const Local& local : locals_) {
      if (local.bytes != 0) continue;
      if (local.type == Type::kUint64) integer = &local;
      if (local.type == Type::kDouble) real = &local;
    }
    if (real == nullptr) return;
    Line() << real->name << " = Mix(" << (integer != nullptr ? integer->name : "1") << ", "
           << real->name << ", 2.5F);\n";
    Line() << "keeper.Note(" << real->slot << ", " << real->name << ");\n";
  }

  void WriteCheck(const Local& local) {
    if (local.bytes == 0) {
      Line() << "keeper.Check(" << local.slot << ", " << local.name << ");\n";
    } else if (local.alignment != 0) {
      Line() << "Hide(" << local.name << ");\n";
      Line() << "for (uint64_t i = 0; i < " << local.bytes / 8 << "; ++i) {\n";
      Line() << "  keeper.CheckThat(" << local.slot << ", " << local.name << "[i] == i + "
             << local.seed << ");\n";
      Line() << "}\n";
      Line() << "keeper.CheckAligned(" << local.slot << ", " << local.name << ", "
             << local.alignment << ");\n";
    } else {
      Line() << "keeper.CheckThat(" << local.slot << ", IsFilled(" << local.name << ", "
             << local.name << "_bytes, " << local.seed << "));\n";
    }
  }

  std::mt19937_64& random_;
  std::ostream& out_;
  const std::string switch_statement_;
  const bool is_wide_;
  const bool is_leaf_;
  const bool has_blocks_;
  std::vector<Local> locals_;
  size_t next_slot_ = 0;
  int next_ = 0;
  size_t indent_ = 0;
};

void WriteFile(const std::string& seed, int programs, bool is_wide, std::ostream& out) {
  std::mt19937_64 random(std::strtoull(seed.c_str(), nullptr, 10));
  out << "// Written by write_programs, seed " << seed << ".\n\n"
      << "#include <array>\n#include <cstddef>\n#include <cstdint>\n\n"
      << "#include \"testing/registers/random_programs/keeper.h\"\n\n"
      << "namespace fringe::testing {\nnamespace {\n";
  std::string raw_table;
  std::string generator_table;
  for (int i = 0; i < programs; ++i) {
    const std::string name = "Program" + seed + "_" + std::to_string(i);
    const bool is_raw = i % 2 == 0;
    FunctionWriter(random, out, is_raw ? "arch::Resume(0, record);" : "generator.Resume();",
                   is_wide)
        .Write("void " + name + "Resumer(Keeper& keeper, " +
               (is_raw ? "arch::LinkRecord* record)"
                       : "Generator<void, void, TestStack>& generator)"));
    FunctionWriter(random, out, is_raw ? "arch::Suspend(0, record);" : "yielder.Suspend();",
                   is_wide)
        .Write("void " + name + "Body(Keeper& keeper, " +
               (is_raw ? "arch::LinkRecord* record)" : "Yielder<void>& yielder)"));
    (is_raw ? raw_table : generator_table) += "    {\"" + name + "\", &" + name + "Resumer, &" +
                                              name + "Body, " + (is_wide ? "true" : "false") +
                                              "},\n";
  }
  out << "\n}  // namespace\n\n";
  const auto write_table = [&](const char* type, const std::string& table) {
    out << "extern const " << type << " k" << type << "s_" << seed << "[];\n"
        << "const " << type << " k" << type << "s_" << seed << "[] = {\n"
        << table << "    {nullptr, nullptr, nullptr, false},\n};\n\n";
  };
  write_table("RawProgram", raw_table);
  write_table("GeneratorProgram", generator_table);
  out << "}  // namespace fringe::testing\n";
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_wide = argc == 5 && std::string(argv[4]) == "wide";
  if (argc != 4 && !is_wide) {
    std::cerr << "usage: write_programs SEED PROGRAMS OUTPUT [wide]\n";
    return 2;
  }
  std::ofstream out(argv[3]);
  WriteFile(argv[1], std::atoi(argv[2]), is_wide, out);
  out.close();
  if (!out) {
    std::cerr << "write_programs: cannot write " << argv[3] << "\n";
    return 1;
  }
  return 0;
}

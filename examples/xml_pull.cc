// Lists elements of an XML document, each with its line. The document is read only as far as it is
// listed.
//
//   xml_pull /usr/share/gdb/syscalls/amd64-linux.xml --element=syscall --attribute=name --limit=3

#include <cstdint>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "examples/xml_reader.h"

ABSL_FLAG(std::optional<std::string>, element, std::nullopt, "List only elements of this name.");
ABSL_FLAG(
    std::optional<std::string>, attribute, std::nullopt,
    "Print the value of this attribute instead of the text. Elements without it are left out.");
ABSL_FLAG(std::optional<uint64_t>, limit, std::nullopt,
          "Stop when this many elements are listed, without reading the rest.");

namespace {

constexpr char kUsage[] =
    "lists elements of an XML document.\n\n"
    "  xml_pull FILE [--element=NAME] [--attribute=NAME] [--limit=N]\n\n"
    "The exit status is 1 if FILE is not a well-formed document, and 2 if the arguments are wrong.";

// Reads up to the end of the element that has just started.
//
// Returns: its text, with that of the elements in it.
std::string TextOfElement(XmlReader& reader) {
  std::string text;
  while (const std::optional<XmlReader::Event> event = reader.Next()) {
    if (event->kind == XmlReader::Kind::kEnd) break;
    text +=
        event->kind == XmlReader::Kind::kText ? std::string(event->text) : TextOfElement(reader);
  }
  return text;
}

// Returns: the exit status.
int List(const char* path) {
  const std::optional<std::string> element = absl::GetFlag(FLAGS_element);
  const std::optional<std::string> attribute = absl::GetFlag(FLAGS_attribute);
  const std::optional<uint64_t> limit = absl::GetFlag(FLAGS_limit);
  std::ifstream file(path);
  if (!file) {
    std::cerr << "xml_pull: " << path << " cannot be opened\n";
    return 1;
  }
  XmlReader reader(file);
  for (uint64_t listed = 0; !limit.has_value() || listed < *limit;) {
    const std::optional<XmlReader::Event> event = reader.Next();
    if (!event.has_value()) break;
    if (event->kind != XmlReader::Kind::kStart) continue;
    if (element.has_value() && event->text != *element) continue;
    const uint64_t line = event->line;
    if (attribute.has_value()) {
      const char* const value = event->Attribute(*attribute);
      if (value == nullptr) continue;
      std::cout << line << ": " << value << "\n";
    } else if (element.has_value()) {
      std::cout << line << ": " << TextOfElement(reader) << "\n";
    } else {
      std::cout << line << ": " << event->text << "\n";
    }
    ++listed;
  }
  std::cout.flush();
  if (!reader.status().ok()) {
    std::cerr << path << ":" << reader.status().message() << "\n";
    return 1;
  }
  return std::cout ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(kUsage);
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  if (arguments.size() != 2) {
    std::cerr << "xml_pull: " << kUsage << "\n";
    return 2;
  }
  return List(arguments[1]);
}

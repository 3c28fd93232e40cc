// Reads an XML document event by event. expat calls functions for the parts of a document as it
// finds them. This class turns them into a sequence to pull from.
//
//   XmlReader reader(file);
//   while (std::optional<XmlReader::Event> event = reader.Next()) {
//     if (event->kind == XmlReader::Kind::kStart) std::cout << event->text << "\n";
//   }
//   if (!reader.status().ok()) std::cerr << reader.status().message() << "\n";

#ifndef FRINGE_EXAMPLES_XML_READER_H_
#define FRINGE_EXAMPLES_XML_READER_H_

#include <cstdint>
#include <istream>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "fringe/generator.h"

// A pull parser.
//
// A reader that is left early tells expat to stop: a handler does so if `TrySuspend` says that the
// generator is being destroyed. This needs no exceptions.
class XmlReader {
 public:
  enum class Kind { kStart, kEnd, kText };

  // A part of the document. What it points to is valid until the next `Next`.
  struct Event {
    Kind kind;
    std::string_view text;          // the name of an element, or the text
    const char* const* attributes;  // of a start: names and values in turn, and null; else null
    uint64_t line;                  // from 1

    // Returns: the value of an attribute, or null.
    const char* Attribute(std::string_view name) const;
  };

  // Prepares to read `file`, which must outlive it.
  explicit XmlReader(std::istream& file);
  XmlReader(const XmlReader&) = delete;
  XmlReader& operator=(const XmlReader&) = delete;

  // Returns: the next part; `nullopt` at the end, and after an error.
  std::optional<Event> Next() { return events_.Resume(); }

  // Returns: after the end, what is wrong with the document, as "LINE:COLUMN: text".
  const absl::Status& status() const { return status_; }

 private:
  using Yielder = fringe::Yielder<Event>;
  struct Parsing;

  void Parse(Yielder& yielder);

  std::istream& file_;
  absl::Status status_;
  // Last, so that the parser ends before what it uses is destroyed.
  fringe::Generator<Event> events_;
};

#endif  // FRINGE_EXAMPLES_XML_READER_H_

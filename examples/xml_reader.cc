#include "examples/xml_reader.h"

#include <expat.h>

#include <array>
#include <cstddef>
#include <memory>

#include "absl/strings/str_cat.h"

// What expat passes to its handlers.
struct XmlReader::Parsing {
  Yielder& yielder;
  const std::unique_ptr<XML_ParserStruct, void (*)(XML_Parser)> parser{XML_ParserCreate(nullptr),
                                                                       XML_ParserFree};
  bool stopped = false;

  // expat calls some handlers after it was stopped.
  void Pass(Kind kind, std::string_view text, const char* const* attributes) {
    if (stopped) return;
    const uint64_t line = XML_GetCurrentLineNumber(parser.get());
    if (yielder.TrySuspend({kind, text, attributes, line})) return;
    stopped = true;
    XML_StopParser(parser.get(), XML_FALSE);
  }

  static void Start(void* data, const char* name, const char** attributes) {
    static_cast<Parsing*>(data)->Pass(Kind::kStart, name, attributes);
  }
  static void End(void* data, const char* name) {
    static_cast<Parsing*>(data)->Pass(Kind::kEnd, name, nullptr);
  }
  static void Text(void* data, const char* text, int size) {
    static_cast<Parsing*>(data)->Pass(Kind::kText, {text, static_cast<size_t>(size)}, nullptr);
  }
};

const char* XmlReader::Event::Attribute(std::string_view name) const {
  if (attributes == nullptr) return nullptr;
  for (const char* const* i = attributes; *i != nullptr; i += 2) {
    if (*i == name) return i[1];
  }
  return nullptr;
}

XmlReader::XmlReader(std::istream& file)
    : file_(file), events_([this](Yielder& yielder) { Parse(yielder); }) {}

void XmlReader::Parse(Yielder& yielder) {
  Parsing parsing{yielder};
  const XML_Parser parser = parsing.parser.get();
  if (parser == nullptr) {
    status_ = absl::ResourceExhaustedError("no memory for a parser");
    return;
  }
  XML_SetUserData(parser, &parsing);
  XML_SetElementHandler(parser, Parsing::Start, Parsing::End);
  XML_SetCharacterDataHandler(parser, Parsing::Text);
  std::array<char, 4096> piece;
  for (bool last = false; !last;) {
    file_.read(piece.data(), piece.size());
    if (file_.bad()) {
      status_ = absl::DataLossError("the file cannot be read");
      return;
    }
    last = !file_;
    const auto bytes = static_cast<int>(file_.gcount());
    if (XML_Parse(parser, piece.data(), bytes, last ? 1 : 0) == XML_STATUS_OK) continue;
    if (!parsing.stopped) {
      status_ = absl::InvalidArgumentError(absl::StrCat(
          XML_GetCurrentLineNumber(parser), ":", XML_GetCurrentColumnNumber(parser) + 1, ": ",
          XML_ErrorString(XML_GetErrorCode(parser))));
    }
    return;
  }
}

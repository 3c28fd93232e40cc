// Prints the rows of a query, tab-separated. sqlite3_exec calls a function for each row until it
// has seen all of them. Here it becomes a range, which is left as soon as enough rows are printed.
//
//   rows :memory: 'select 1, 2 union select 3, 4' --limit=1

#include <sqlite3.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "fringe/generator.h"

ABSL_FLAG(std::optional<uint64_t>, limit, std::nullopt,
          "Stop when this many rows are printed, without computing the rest.");
ABSL_FLAG(
    bool, stats, false,
    "At the end, print to standard error how many rows were computed, and how many statements "
    "are still open.");

namespace {

constexpr char kUsage[] =
    "prints the rows of a query.\n\n"
    "  rows DATABASE QUERY [--limit=N] [--stats]\n\n"
    "DATABASE is a file, which is not changed, or :memory:. The exit status is 1 if the query "
    "fails,\n"
    "and 2 if the arguments are wrong.";

using Database = std::unique_ptr<sqlite3, int (*)(sqlite3*)>;

// A query, as a range of its rows.
class Query {
 public:
  using Row = std::vector<std::string>;

  // `database` must outlive it.
  Query(sqlite3* database, std::string sql)
      : database_(database), sql_(std::move(sql)), rows_([this](auto& yielder) { Run(yielder); }) {}
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  // The rows. Null values are empty.
  fringe::Generator<Row>& rows() { return rows_; }

  // Returns: after the end, why the query has failed.
  const absl::Status& status() const { return status_; }

  // Returns: how many rows sqlite has computed.
  uint64_t computed() const { return computed_; }

 private:
  struct Context {
    Query* query;
    fringe::Yielder<Row>* yielder;
  };

  // Called for each row. The query ends if it does not return 0: sqlite then frees its statement.
  static int Pass(void* data, int columns, char** values, char**) {
    const auto [query, yielder] = *static_cast<Context*>(data);
    ++query->computed_;
    Row row;
    for (int i = 0; i < columns; ++i) row.emplace_back(values[i] != nullptr ? values[i] : "");
    return yielder->TrySuspend(std::move(row)) ? 0 : 1;
  }

  void Run(fringe::Yielder<Row>& yielder) {
    Context context = {this, &yielder};
    char* message = nullptr;
    const int result = sqlite3_exec(database_, sql_.c_str(), Pass, &context, &message);
    if (result != SQLITE_OK && result != SQLITE_ABORT) {
      status_ = absl::InvalidArgumentError(message != nullptr ? message : sqlite3_errstr(result));
    }
    sqlite3_free(message);
  }

  sqlite3* const database_;
  const std::string sql_;
  absl::Status status_;
  uint64_t computed_ = 0;
  // Last, so that the query ends before what it uses is destroyed.
  fringe::Generator<Row> rows_;
};

int OpenStatements(sqlite3* database) {
  int count = 0;
  for (sqlite3_stmt* statement = sqlite3_next_stmt(database, nullptr); statement != nullptr;
       statement = sqlite3_next_stmt(database, statement)) {
    ++count;
  }
  return count;
}

// Returns: the exit status.
int PrintRows(const char* path, const char* sql) {
  sqlite3* opened = nullptr;
  const int result = sqlite3_open_v2(
      path, &opened, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_MEMORY * (*path == ':'),
      nullptr);
  const Database database(opened, sqlite3_close);
  if (result != SQLITE_OK) {
    std::cerr << "rows: " << path << ": " << sqlite3_errmsg(opened) << "\n";
    return 1;
  }

  const std::optional<uint64_t> limit = absl::GetFlag(FLAGS_limit);
  uint64_t computed = 0;
  absl::Status status;
  {
    Query query(database.get(), sql);
    uint64_t printed = 0;
    while (!limit.has_value() || printed < *limit) {
      const std::optional<Query::Row> row = query.rows().Resume();
      if (!row.has_value()) break;
      const char* separator = "";
      for (const std::string& value : *row) {
        std::cout << std::exchange(separator, "\t") << value;
      }
      std::cout << "\n";
      ++printed;
    }
    computed = query.computed();
    status = query.status();
  }
  if (absl::GetFlag(FLAGS_stats)) {
    std::cerr << "rows: computed " << computed << ", open statements "
              << OpenStatements(database.get()) << "\n";
  }
  if (!status.ok()) {
    std::cerr << "rows: " << status.message() << "\n";
    return 1;
  }
  return std::cout.flush() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(kUsage);
  const std::vector<char*> arguments = absl::ParseCommandLine(argc, argv);
  if (arguments.size() != 3) {
    std::cerr << "rows: " << kUsage << "\n";
    return 2;
  }
  return PrintRows(arguments[1], arguments[2]);
}

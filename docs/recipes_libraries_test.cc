// The recipes of docs/recipes.md that use other libraries, with exceptions and without. A library
// that is not installed skips its tests.

#include "gtest/gtest.h"

#if __has_include(<sqlite3.h>) && __has_include(<expat.h>) && __has_include(<zlib.h>)
#define FRINGE_TEST_CALLBACKS 1
#else
#define FRINGE_TEST_CALLBACKS 0
#endif

#if __has_include(<asio.hpp>)
#define FRINGE_TEST_ASIO 1
#else
#define FRINGE_TEST_ASIO 0
#endif

#if __has_include(<liburing.h>)
#define FRINGE_TEST_URING 1
#else
#define FRINGE_TEST_URING 0
#endif

#if FRINGE_TEST_CALLBACKS
#include <expat.h>
#include <sqlite3.h>
#include <zlib.h>
#endif

#if FRINGE_TEST_ASIO
#if !defined(__cpp_exceptions)
#define ASIO_NO_EXCEPTIONS
#endif
#include <asio.hpp>
#endif

#if FRINGE_TEST_URING
#include <liburing.h>
#endif

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fringe/callback_guard.h"
#include "fringe/generator.h"
#include "gmock/gmock.h"

#if FRINGE_TEST_ASIO && !defined(__cpp_exceptions)
namespace asio::detail {
// Without exceptions, asio calls it instead of throwing.
template <typename Exception>
void throw_exception(const Exception&) {
  std::abort();
}
}  // namespace asio::detail
#endif

namespace {

using ::testing::ElementsAre;

// --- Callbacks of C ------------------------------------------------------------------------------

#if FRINGE_TEST_CALLBACKS

using Row = std::vector<std::string>;

// Called by sqlite3_exec for each row. It ends the query if this does not return 0.
int PassRow(void* yielder, int columns, char** values, char**) {
  Row row;
  for (int i = 0; i < columns; ++i) row.emplace_back(values[i] != nullptr ? values[i] : "");
  return static_cast<fringe::Yielder<Row>*>(yielder)->TrySuspend(std::move(row)) ? 0 : 1;
}

fringe::Generator<Row> Rows(sqlite3* database, std::string query) {
  return fringe::MakeGenerator<Row>([=](fringe::Yielder<Row>& yielder) {
    sqlite3_exec(database, query.c_str(), PassRow, &yielder, nullptr);
  });
}

TEST(RecipesTest, Sqlite) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(":memory:", &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, "create table t(a, b); insert into t values(1, 'x'), (2, null)",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  std::vector<Row> rows;
  for (Row row : Rows(database, "select * from t")) rows.push_back(std::move(row));
  EXPECT_THAT(rows, ElementsAre(Row{"1", "x"}, Row{"2", ""}));
  EXPECT_EQ(Rows(database, "select * from t").Resume(), (Row{"1", "x"}));
  // Fails if a statement is open.
  EXPECT_EQ(sqlite3_close(database), SQLITE_OK);
}

struct Context {
  fringe::Yielder<Row>& yielder;
  fringe::CallbackGuard guard;
};

int SuspendWithRow(void* data, int columns, char** values, char**) {
  auto* const context = static_cast<Context*>(data);
  return context->guard.Call(
      [&] {
        context->yielder.Suspend(Row(values, values + columns));
        return 0;
      },
      1);
}

fringe::Generator<Row> GuardedRows(sqlite3* database, std::string query) {
  return fringe::MakeGenerator<Row>([=](fringe::Yielder<Row>& yielder) {
    Context context = {.yielder = yielder, .guard = {}};
    sqlite3_exec(database, query.c_str(), SuspendWithRow, &context, nullptr);
    context.guard.Rethrow();
  });
}

TEST(RecipesTest, CallbackGuard) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(":memory:", &database), SQLITE_OK);
  std::vector<Row> rows;
  for (Row row : GuardedRows(database, "select 1 union select 2")) rows.push_back(std::move(row));
  EXPECT_THAT(rows, ElementsAre(Row{"1"}, Row{"2"}));
#if defined(__cpp_exceptions)
  EXPECT_EQ(GuardedRows(database, "select 1 union select 2").Resume(), Row{"1"});
#endif
  EXPECT_EQ(sqlite3_close(database), SQLITE_OK);
}

// What expat passes to its handlers.
struct Parsing {
  XML_Parser parser;
  fringe::Yielder<std::string>& yielder;
};

void PassElement(void* data, const XML_Char* name, const XML_Char**) {
  auto* const parsing = static_cast<Parsing*>(data);
  if (!parsing->yielder.TrySuspend(name)) XML_StopParser(parsing->parser, XML_FALSE);
}

// The names of the elements of a document, in order.
fringe::Generator<std::string> Elements(std::string document) {
  return fringe::MakeGenerator<std::string>([=](fringe::Yielder<std::string>& yielder) {
    Parsing parsing = {XML_ParserCreate(nullptr), yielder};
    XML_SetUserData(parsing.parser, &parsing);
    XML_SetStartElementHandler(parsing.parser, PassElement);
    XML_Parse(parsing.parser, document.data(), static_cast<int>(document.size()), 1);
    XML_ParserFree(parsing.parser);
  });
}

TEST(RecipesTest, Expat) {
  std::vector<std::string> names;
  for (std::string name : Elements("<a><b/><c><d/></c></a>")) names.push_back(std::move(name));
  EXPECT_THAT(names, ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(Elements("<a><b/></a>").Resume(), "a");
}

using Chunk = std::string_view;

int PassChunk(void* yielder, unsigned char* chunk, unsigned bytes) {
  const Chunk output(reinterpret_cast<const char*>(chunk), bytes);
  return static_cast<fringe::Yielder<Chunk>*>(yielder)->TrySuspend(output) ? 0 : 1;
}

unsigned NoMoreInput(void*, unsigned char**) { return 0; }

// The contents of a raw deflate stream, in chunks of up to 32 KiB.
fringe::Generator<Chunk> Inflate(std::string deflated) {
  return fringe::MakeGenerator<Chunk>([=](fringe::Yielder<Chunk>& yielder) mutable {
    unsigned char window[32 << 10];
    z_stream stream = {};
    stream.next_in = reinterpret_cast<unsigned char*>(deflated.data());
    stream.avail_in = static_cast<unsigned>(deflated.size());
    if (inflateBackInit(&stream, 15, window) != Z_OK) return;
    inflateBack(&stream, NoMoreInput, nullptr, PassChunk, &yielder);
    inflateBackEnd(&stream);
  });
}

TEST(RecipesTest, Zlib) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += std::to_string(i);
  std::string deflated(text.size() + 1000, '\0');
  z_stream stream = {};
  ASSERT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = reinterpret_cast<unsigned char*>(text.data());
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<unsigned char*>(deflated.data());
  stream.avail_out = static_cast<uInt>(deflated.size());
  ASSERT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  deflated.resize(stream.total_out);
  deflateEnd(&stream);

  std::string inflated;
  int chunks = 0;
  for (const std::string_view chunk : Inflate(deflated)) {
    inflated += chunk;
    ++chunks;
  }
  EXPECT_EQ(inflated, text);
  EXPECT_GT(chunks, 2);
  EXPECT_EQ(Inflate(deflated).Resume()->substr(0, 5), "01234");
}

#else

TEST(RecipesTest, CallbacksOfC) {
  GTEST_SKIP() << "install libsqlite3-dev, libexpat1-dev and zlib1g-dev";
}

#endif

// --- Event loops ---------------------------------------------------------------------------------

#if FRINGE_TEST_ASIO

using Task = fringe::Generator<void>;

// Starts an asynchronous operation and waits for its end. Its handler resumes the task.
template <typename Start>
size_t Await(Task& task, Task::yielder_type& yielder, Start start) {
  asio::error_code error;
  size_t bytes = 0;
  start([&](const asio::error_code& its_error, size_t its_bytes) {
    error = its_error;
    bytes = its_bytes;
    task.Resume();
  });
  yielder.Suspend();
  return error ? 0 : bytes;
}

// Sends back what it receives, until the other side closes.
void Echo(Task& task, Task::yielder_type& yielder, asio::local::stream_protocol::socket& socket) {
  std::array<char, 512> buffer;
  while (const size_t bytes = Await(task, yielder, [&](auto handler) {
           socket.async_read_some(asio::buffer(buffer), std::move(handler));
         })) {
    Await(task, yielder, [&](auto handler) {
      asio::async_write(socket, asio::buffer(buffer, bytes), std::move(handler));
    });
  }
}

TEST(RecipesTest, Asio) {
  asio::io_context io;
  asio::local::stream_protocol::socket near(io);
  asio::local::stream_protocol::socket far(io);
  asio::error_code error;
  asio::local::connect_pair(near, far, error);
  ASSERT_FALSE(error);

  std::string received;
  Task echo([&](auto& yielder) { Echo(echo, yielder, far); });
  Task client([&](auto& yielder) {
    for (const char* const word : {"call", "me", "Ishmael"}) {
      Await(client, yielder, [&](auto handler) {
        asio::async_write(near, asio::buffer(word, std::strlen(word)), std::move(handler));
      });
      std::array<char, 512> buffer;
      const size_t bytes = Await(client, yielder, [&](auto handler) {
        near.async_read_some(asio::buffer(buffer), std::move(handler));
      });
      received.append(buffer.data(), bytes);
    }
    near.close(error);
  });
  echo.Resume();
  client.Resume();
  io.run();
  EXPECT_EQ(received, "callmeIshmael");
  EXPECT_EQ(echo.state(), fringe::State::kUnavailable);
  EXPECT_EQ(client.state(), fringe::State::kUnavailable);
}

#else

TEST(RecipesTest, Asio) { GTEST_SKIP() << "install libasio-dev"; }

#endif

#if FRINGE_TEST_URING

// A task prepares an operation and suspends. It is resumed with the result.
using UringTask = fringe::Generator<void, int>;

std::string ReadAll(io_uring& ring, UringTask& task, UringTask::yielder_type& yielder, int file) {
  std::string contents;
  std::array<char, 64> buffer;
  for (;;) {
    io_uring_sqe* const operation = io_uring_get_sqe(&ring);
    io_uring_prep_read(operation, file, buffer.data(), unsigned{buffer.size()}, contents.size());
    io_uring_sqe_set_data(operation, &task);
    const int bytes = yielder.Suspend();
    if (bytes <= 0) return contents;
    contents.append(buffer.data(), static_cast<size_t>(bytes));
  }
}

// Runs tasks until each has returned.
void RunAll(io_uring& ring, std::vector<UringTask>& tasks) {
  size_t unfinished = 0;
  for (UringTask& task : tasks) {
    if (task.Resume(0)) ++unfinished;
  }
  while (unfinished > 0) {
    io_uring_submit_and_wait(&ring, 1);
    io_uring_cqe* completion = nullptr;
    if (io_uring_peek_cqe(&ring, &completion) != 0) continue;
    auto* const task = static_cast<UringTask*>(io_uring_cqe_get_data(completion));
    const int result = completion->res;
    io_uring_cqe_seen(&ring, completion);
    if (!task->Resume(result)) --unfinished;
  }
}

TEST(RecipesTest, Uring) {
  io_uring ring;
  if (const int error = io_uring_queue_init(8, &ring, 0); error < 0) {
    GTEST_SKIP() << "the kernel refuses io_uring: " << std::strerror(-error);
  }
  std::string path = ::testing::TempDir() + "uring_XXXXXX";
  const int file = mkstemp(path.data());
  ASSERT_NE(file, -1);
  unlink(path.c_str());
  std::string text;
  for (int i = 0; i < 100; ++i) text += std::to_string(i);
  ASSERT_EQ(write(file, text.data(), text.size()), static_cast<ssize_t>(text.size()));

  std::array<std::string, 2> contents;
  std::vector<UringTask> tasks;
  tasks.reserve(contents.size());  // a task that waits must not move
  for (std::string& text_of_task : contents) {
    tasks.emplace_back([&, index = tasks.size()](auto& yielder, int) {
      text_of_task = ReadAll(ring, tasks[index], yielder, file);
    });
  }
  RunAll(ring, tasks);
  EXPECT_THAT(contents, ElementsAre(text, text));
  io_uring_queue_exit(&ring);
  close(file);
}

#else

TEST(RecipesTest, Uring) { GTEST_SKIP() << "install liburing-dev"; }

#endif

}  // namespace

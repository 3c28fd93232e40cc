#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "examples/event_loop.h"
#include "gtest/gtest.h"
#include "testing/support/command.h"

namespace {

using fringe::testing::CommandResult;
using fringe::testing::RunProgram;
using fringe::testing::SplitLines;

TEST(EchoServerTest, AnswersEachConnectionAndEndsOnSigint) {
  const CommandResult result = RunProgram({"--connections=200", "--requests=3000"});
  EXPECT_EQ(result.exit_status, 0) << result.errors;
  EXPECT_EQ(result.errors, "");
  const std::vector<std::string> lines = SplitLines(result.output);
  ASSERT_EQ(lines.size(), 5u) << result.output;
  EXPECT_EQ(lines[0], "connections                200");
  EXPECT_EQ(lines[1], "requests                  3000");
  EXPECT_EQ(lines[4], "server              served 200 connections, 200 were open");
}

TEST(EchoServerTest, NoRequestsAreAnError) {
  const CommandResult result = RunProgram({"--connections=2", "--requests=0"});
  EXPECT_EQ(result.exit_status, 1);
  EXPECT_NE(result.errors.find("--requests must be at least 1"), std::string::npos)
      << result.errors;
}

class EventLoopTest : public testing::Test {
 protected:
  static constexpr size_t kStackBytes = size_t{64} << 10;

  // Returns: two connected sockets that do not block.
  static std::pair<Descriptor, Descriptor> Sockets() {
    std::array<int, 2> ends = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    return {Descriptor(ends[0]), Descriptor(ends[1])};
  }
};

TEST_F(EventLoopTest, MoreThanTheSocketHoldsIsWrittenInPieces) {
  auto [near, far] = Sockets();
  const std::string text(size_t{1} << 20, 'x');
  std::string received;
  EventLoop loop(kStackBytes);
  ASSERT_TRUE(loop.Spawn(std::move(near),
                         [&](int socket, EventLoop::Yielder& yielder) {
                           EXPECT_EQ(EventLoop::WriteAll(socket, text.data(), text.size(), yielder),
                                     ssize_t{1} << 20);
                         })
                  .ok());
  EXPECT_EQ(loop.size(), 1u);
  ASSERT_TRUE(loop.Spawn(std::move(far),
                         [&](int socket, EventLoop::Yielder& yielder) {
                           std::array<char, 1000> piece;
                           ssize_t bytes;
                           while ((bytes = EventLoop::Read(socket, piece.data(), piece.size(),
                                                           yielder)) > 0) {
                             received.append(piece.data(), static_cast<size_t>(bytes));
                           }
                           EXPECT_EQ(bytes, 0);
                         })
                  .ok());
  EXPECT_TRUE(loop.Run().ok());
  EXPECT_EQ(loop.size(), 0u);
  EXPECT_EQ(received, text);
}

TEST_F(EventLoopTest, DestructionEndsTasksAndClosesDescriptors) {
  auto [near, far] = Sockets();
  bool ended = false;
  {
    EventLoop loop(kStackBytes);
    ASSERT_TRUE(loop.Spawn(std::move(near),
                           [&](int socket, EventLoop::Yielder& yielder) {
                             char byte;
                             EXPECT_EQ(EventLoop::Read(socket, &byte, 1, yielder), -1);
                             ended = true;
                           })
                    .ok());
    EXPECT_FALSE(ended);
  }
  EXPECT_TRUE(ended);
  char byte;
  EXPECT_EQ(read(far.get(), &byte, 1), 0);
}

}  // namespace

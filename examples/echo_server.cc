// A server that sends back what it receives. Each connection is a generator on a pooled stack,
// which reads and writes as if it blocked.
//
//   echo_server --port=7777                               # serves until SIGINT
//   echo_server --connections=10000 --requests=200000     # measures a server of its own

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/event_loop.h"

ABSL_FLAG(uint16_t, port, 0,
          "The port to serve on, of the loopback address. 0 chooses a free one.");
ABSL_FLAG(uint64_t, connections, 0,
          "Instead of serving, start a server in another process and measure it with so many "
          "connections at once.");
ABSL_FLAG(uint64_t, requests, 100'000, "How many requests to measure with, over all connections.");

namespace {

constexpr char kUsage[] =
    "sends back what it receives.\n\n"
    "  echo_server [--port=N]\n"
    "  echo_server --connections=N [--requests=N]\n\n"
    "The first serves until SIGINT. The second measures a server.";

// Most tasks use the highest page only. Untouched pages use no memory.
constexpr size_t kStackBytes = size_t{64} << 10;
constexpr size_t kBufferBytes = 512;
constexpr size_t kRequestBytes = 64;

absl::Status Error(const char* call) { return absl::ErrnoToStatus(errno, call); }

// Lets this process have as many descriptors as the system allows.
absl::Status RaiseDescriptorLimit(uint64_t needed) {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) == -1) return Error("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) == -1) return Error("setrlimit");
  if (limit.rlim_cur < needed) {
    return absl::ResourceExhaustedError("the limit of descriptors is too low: raise `ulimit -Hn`");
  }
  return absl::OkStatus();
}

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// --- The server ----------------------------------------------------------------------------------

void Echo(int connection, EventLoop::Yielder& yielder) {
  std::array<char, kBufferBytes> buffer;
  for (;;) {
    const ssize_t bytes = EventLoop::Read(connection, buffer.data(), buffer.size(), yielder);
    if (bytes <= 0) return;
    const auto size = static_cast<size_t>(bytes);
    if (EventLoop::WriteAll(connection, buffer.data(), size, yielder) != bytes) return;
  }
}

// Starts a task for each connection.
void Accept(EventLoop& loop, int listener, uint64_t& served, EventLoop::Yielder& yielder) {
  for (;;) {
    Descriptor connection(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (connection.get() == -1) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno != EAGAIN) std::perror("echo_server: accept4");
      // Out of descriptors or memory: goes on when the next one connects.
      if (!EventLoop::Wait(yielder)) return;
      continue;
    }
    const absl::Status status = loop.Spawn(std::move(connection), Echo);
    if (status.ok()) {
      ++served;
    } else {
      std::cerr << "echo_server: a connection is refused: " << status << "\n";
    }
  }
}

absl::StatusOr<Descriptor> Listen(uint16_t port, uint16_t* chosen) {
  Descriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (listener.get() == -1) return Error("socket");
  const int on = 1;
  if (setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1) {
    return Error("setsockopt");
  }
  sockaddr_in address = Loopback(port);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener.get(), generic, size) == -1) return Error("bind");
  if (listen(listener.get(), SOMAXCONN) == -1) return Error("listen");
  if (getsockname(listener.get(), generic, &size) == -1) return Error("getsockname");
  *chosen = ntohs(address.sin_port);
  return listener;
}

// Serves until SIGINT. Writes its port to `report` first.
absl::Status Serve(uint16_t port, FILE* report) {
  if (absl::Status status = RaiseDescriptorLimit(0); !status.ok()) return status;
  // Blocked first, so that it is not lost.
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  if (sigprocmask(SIG_BLOCK, &interrupt, nullptr) == -1) return Error("sigprocmask");
  if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) return Error("signal");
  Descriptor interrupts(signalfd(-1, &interrupt, SFD_NONBLOCK | SFD_CLOEXEC));
  if (interrupts.get() == -1) return Error("signalfd");

  uint16_t chosen = 0;
  absl::StatusOr<Descriptor> listener = Listen(port, &chosen);
  if (!listener.ok()) return listener.status();

  uint64_t served = 0;
  EventLoop loop(kStackBytes);
  absl::Status status =
      loop.Spawn(*std::move(listener), [&](int descriptor, EventLoop::Yielder& yielder) {
        Accept(loop, descriptor, served, yielder);
      });
  if (!status.ok()) return status;
  status = loop.Spawn(std::move(interrupts), [&](int descriptor, EventLoop::Yielder& yielder) {
    signalfd_siginfo signal;
    if (EventLoop::Read(descriptor, &signal, sizeof(signal), yielder) > 0) loop.Stop();
  });
  if (!status.ok()) return status;

  std::fprintf(report, "port %u\n", unsigned{chosen});
  std::fflush(report);
  status = loop.Run();
  if (!status.ok()) return status;
  // The listener is one of the tasks; that of the signal has returned.
  std::fprintf(report, "served %llu connections, %zu were open\n",
               static_cast<unsigned long long>(served), loop.size() - 1);
  std::fflush(report);
  return absl::OkStatus();
}

// --- The measurement -----------------------------------------------------------------------------

// A server in another process. It does not outlive this object.
class Server {
 public:
  Server() = default;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() {
    if (process_ > 0) {
      kill(process_, SIGKILL);
      waitpid(process_, nullptr, 0);
    }
    if (report_ != nullptr) std::fclose(report_);
  }

  absl::Status Start() {
    std::array<int, 2> ends = {};
    if (pipe(ends.data()) == -1) return Error("pipe");
    Descriptor reading(ends[0]);
    Descriptor writing(ends[1]);
    report_ = fdopen(dup(reading.get()), "r");
    if (report_ == nullptr) return Error("fdopen");
    process_ = fork();
    if (process_ == -1) return Error("fork");
    if (process_ == 0) _exit(ServeHere(writing.get()));
    writing = Descriptor(-1);

    const std::string line = ReportedLine();
    unsigned port = 0;
    if (std::sscanf(line.c_str(), "port %u", &port) != 1) {
      return absl::InternalError("the server has not started");
    }
    port_ = static_cast<uint16_t>(port);
    return absl::OkStatus();
  }

  // Interrupts it. `last_line` receives what it has reported then.
  absl::Status Stop(std::string* last_line) {
    if (kill(process_, SIGINT) == -1) return Error("kill");
    *last_line = ReportedLine();
    if (last_line->empty()) return absl::InternalError("the server has not reported");
    int exit_status = 0;
    if (waitpid(process_, &exit_status, 0) == -1) return Error("waitpid");
    process_ = 0;
    if (exit_status != 0) return absl::InternalError("the server has not ended with status 0");
    return absl::OkStatus();
  }

  pid_t process() const { return process_; }
  uint16_t port() const { return port_; }

 private:
  // Returns: the exit status.
  static int ServeHere(int report) {
    FILE* const file = fdopen(report, "w");
    const absl::Status status = file != nullptr ? Serve(0, file) : Error("fdopen");
    if (!status.ok()) std::cerr << "echo_server: " << status << "\n";
    return status.ok() ? 0 : 1;
  }

  std::string ReportedLine() {
    std::array<char, 100> line = {};
    return std::fgets(line.data(), int{line.size()}, report_) != nullptr ? line.data() : "";
  }

  pid_t process_ = 0;
  FILE* report_ = nullptr;
  uint16_t port_ = 0;
};

// Returns: the resident memory of a process, in bytes.
uint64_t ResidentBytes(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/statm");
  uint64_t pages = 0;
  file >> pages >> pages;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// The requests of all connections.
struct Requests {
  uint64_t left;
  uint64_t unanswered = left;
  uint64_t wrong = 0;
};

// Sends a request and waits for the reply.
//
// Returns: whether it is right.
bool Ask(int connection, uint64_t number, EventLoop::Yielder& yielder) {
  std::array<char, kRequestBytes> request;
  request.fill(static_cast<char>(number));
  if (EventLoop::WriteAll(connection, request.data(), request.size(), yielder) <= 0) return false;
  std::array<char, kRequestBytes> reply;
  for (size_t received = 0; received < reply.size();) {
    const ssize_t bytes =
        EventLoop::Read(connection, reply.data() + received, reply.size() - received, yielder);
    if (bytes <= 0) return false;
    received += static_cast<size_t>(bytes);
  }
  return reply == request;
}

// Sends requests until none is left. Stops the loop when all are answered, and keeps the connection
// until then.
void Load(EventLoop& loop, int connection, Requests& requests, EventLoop::Yielder& yielder) {
  while (requests.left > 0) {
    if (!Ask(connection, requests.left--, yielder)) ++requests.wrong;
    if (--requests.unanswered == 0 || requests.wrong > 0) loop.Stop();
  }
  while (EventLoop::Wait(yielder)) continue;
}

absl::Status Measure(uint64_t connections, uint64_t requests) {
  if (requests == 0) return absl::InvalidArgumentError("--requests must be at least 1");
  if (absl::Status status = RaiseDescriptorLimit(connections + 100); !status.ok()) return status;
  Server server;
  if (absl::Status status = server.Start(); !status.ok()) return status;
  const uint64_t resident_before = ResidentBytes(server.process());

  // `connect` returns when the kernel has the connection. So each also sends one request, after
  // which the server has it.
  std::vector<Descriptor> sockets;
  const sockaddr_in address = Loopback(server.port());
  std::array<char, kRequestBytes> greeting = {};
  for (uint64_t i = 0; i < connections; ++i) {
    sockets.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int socket = sockets.back().get();
    if (socket == -1) return Error("socket");
    if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == -1) {
      return Error("connect");
    }
    if (write(socket, greeting.data(), greeting.size()) != ssize_t{greeting.size()}) {
      return Error("write");
    }
  }
  for (const Descriptor& socket : sockets) {
    if (recv(socket.get(), greeting.data(), greeting.size(), MSG_WAITALL) !=
        ssize_t{greeting.size()}) {
      return Error("recv");
    }
  }
  const uint64_t resident = ResidentBytes(server.process()) - resident_before;

  Requests load = {.left = requests};
  EventLoop loop(kStackBytes);
  const auto begin = std::chrono::steady_clock::now();
  for (Descriptor& socket : sockets) {
    const int flags = fcntl(socket.get(), F_GETFL);
    if (flags == -1 || fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) == -1) {
      return Error("fcntl");
    }
    const absl::Status status =
        loop.Spawn(std::move(socket), [&](int connection, EventLoop::Yielder& yielder) {
          Load(loop, connection, load, yielder);
        });
    if (!status.ok()) return status;
  }
  if (absl::Status status = loop.Run(); !status.ok()) return status;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;

  std::string last_line;
  if (absl::Status status = server.Stop(&last_line); !status.ok()) return status;
  std::printf("connections         %10llu\n", static_cast<unsigned long long>(connections));
  std::printf("requests            %10llu\n", static_cast<unsigned long long>(requests));
  std::printf("requests a second   %10.0f\n", static_cast<double>(requests) / seconds.count());
  std::printf("memory, each        %10.0f bytes\n",
              static_cast<double>(resident) / static_cast<double>(connections));
  std::printf("server              %s", last_line.c_str());
  if (load.wrong > 0) return absl::DataLossError("a reply was wrong");
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(kUsage);
  if (absl::ParseCommandLine(argc, argv).size() != 1) {
    std::cerr << "echo_server: " << kUsage << "\n";
    return 2;
  }
  const uint64_t connections = absl::GetFlag(FLAGS_connections);
  const absl::Status status = connections > 0 ? Measure(connections, absl::GetFlag(FLAGS_requests))
                                              : Serve(absl::GetFlag(FLAGS_port), stdout);
  if (status.ok()) return 0;
  std::cerr << "echo_server: " << status << "\n";
  return 1;
}

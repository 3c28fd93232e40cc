// A hundred plug-ins, each with a pool of its own, in one process.

#include <dlfcn.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace {

constexpr size_t kPlugins = 100;

// Copies, as one file is loaded once.
std::vector<std::string> Plugins() {
  std::vector<std::string> paths;
  for (size_t i = 0; i < kPlugins; ++i) {
    paths.push_back(std::string(::testing::TempDir()) + "/fringe_plugin_" +
                    std::to_string(getpid()) + "_" + std::to_string(i) + ".so");
    std::filesystem::copy_file(FRINGE_PLUGIN, paths.back());
  }
  return paths;
}

// Each round would fail if the one before had left static TLS behind.
TEST(PluginTest, AHundredAreLoadedAndUnloaded) {
  const std::vector<std::string> paths = Plugins();
  for (int round = 0; round < 3; ++round) {
    std::vector<void*> plugins;
    for (const std::string& path : paths) {
      void* const plugin = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
      ASSERT_NE(plugin, nullptr) << plugins.size() << " are loaded: " << dlerror();
      plugins.push_back(plugin);
      auto* const run = reinterpret_cast<int (*)()>(dlsym(plugin, "FringePluginRun"));
      ASSERT_NE(run, nullptr);
      EXPECT_EQ(run(), 6);
      // Its cache is returned when the thread ends, in whichever order.
      std::thread([run] { EXPECT_EQ(run(), 6); }).join();
    }
    // In this order, the C library uses their static TLS again.
    for (; !plugins.empty(); plugins.pop_back()) EXPECT_EQ(dlclose(plugins.back()), 0);
  }
  for (const std::string& path : paths) std::filesystem::remove(path);
}

}  // namespace

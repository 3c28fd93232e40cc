// Other libraries, and what the language and the system offer, next to fringe.

#ifndef FRINGE_BENCHMARKS_PEERS_H_
#define FRINGE_BENCHMARKS_PEERS_H_

#include <map>
#include <string>

namespace fringe::benchmarks {

// Registers the benchmarks of the peers that this program was compiled with.
//
// Returns: for each of the others, the prefix of its benchmarks' names, and the reason.
std::map<std::string, std::string> RegisterPeers();

}  // namespace fringe::benchmarks

#endif  // FRINGE_BENCHMARKS_PEERS_H_

// SeenFlows: which flows have their netflow record, so that each gets exactly one: at its first
// packet, or at its end when the first was not sent, in whichever order both arrive. One thread.
#pragma once

#include <cstdint>
#include <unordered_set>

namespace raind::flow {

class SeenFlows {
  public:
    // True: the flow has no record yet and gets one now.
    bool begin(std::uint64_t flow_id);
    bool end(std::uint64_t flow_id);

  private:
    // Two generations bound the memory: flows whose other event never comes are forgotten after
    // kGeneration newer ones.
    struct Set {
        static constexpr std::size_t kGeneration = 262'144;
        std::unordered_set<std::uint64_t> now;
        std::unordered_set<std::uint64_t> before;
        void insert(std::uint64_t id);
        bool erase(std::uint64_t id) { return now.erase(id) + before.erase(id) != 0; }
    };
    Set open_;   // NEW came, END did not
    Set ended_;  // END came first
};

}  // namespace raind::flow

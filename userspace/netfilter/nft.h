// Runs commands of nft through libnftables inside a network namespace. One call is one transaction.
// Any thread may call: the work is done on a helper thread in the namespace, one at a time, because
// the library keeps state of its parser in variables of its own.
#pragma once

#include <string>

#include "raind/result.h"

#include "userspace/common/netns.h"

namespace raind::netfilter {

enum class NftOutput {
    Text,       // as nft prints it
    Stateless,  // without counts
    Json,
};

// Gives what the commands print. NotFound, when an object that they name does not exist.
Result<std::string> run_nft(const NetnsRef& netns, const std::string& commands,
                            NftOutput output = NftOutput::Text);

}  // namespace raind::netfilter

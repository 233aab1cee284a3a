// Users and groups by the passwd and group files of the container: USER[:GROUP] as image
// configurations write it. The text work is pure; read_accounts runs inside the container's root.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"

namespace raind::droplet {

struct Accounts {
    std::string passwd;
    std::string group;
};

struct Identity {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::vector<std::uint32_t> groups;  // supplementary
};

// The two files of the root that this process has: links end inside it, nothing but regular files
// is read, never more than 1 MiB. What is not there is empty.
Accounts read_accounts();

// USER, USER:GROUP, :GROUP or nothing (root), names or numbers. A number needs no entry. Without
// GROUP the group is the entry's, and the groups that list the user come along.
Result<Identity> find_identity(std::string_view text, const Accounts& accounts);

// The home folder of a user by the text of a passwd file.
std::string home_of(std::string_view passwd, std::uint32_t uid);

}  // namespace raind::droplet

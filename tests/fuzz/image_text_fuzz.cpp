// Texts about images from users, registries and archives: what is accepted says the same when it is
// written out and read again, and no name leads out of its folder.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "userspace/image/auth_challenge.h"
#include "userspace/image/entry_name.h"
#include "userspace/image/reference.h"

namespace {

using namespace raind;

void require(bool holds) {
    if (!holds)
        std::abort();
}

void check_reference(const std::string& text) {
    const auto parsed = image::Reference::parse(text);
    if (!parsed)
        return;
    for (const std::string& written : {parsed->canonical(), parsed->familiar()}) {
        const auto again = image::Reference::parse(written);
        require(again.has_value() && *again == *parsed);
    }
    require(!parsed->path().empty() && parsed->path().find("..") == std::string::npos);
}

void check_part(const std::string& part) {
    require(!part.empty() && part != "." && part != ".." && part.find('/') == std::string::npos &&
            part.find('\0') == std::string::npos);
}

void check_entry(const std::string& text) {
    const auto name = image::parse_entry_name(text, {});
    if (!name)
        return;
    for (const std::string& part : name->parents)
        check_part(part);
    if (name->leaf.empty())
        return;
    check_part(name->leaf);
    const auto whiteout = image::parse_whiteout(name->leaf);
    if (whiteout && whiteout->kind == image::WhiteoutKind::Remove)
        check_part(whiteout->target);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    check_reference(text);
    check_entry(text);
    check_entry(".wh." + text);
    (void)image::Digest::parse("sha256:" + text);
    (void)image::parse_challenge(text);
    (void)image::parse_challenge("Bearer " + text);
    const auto token = image::parse_token(text);
    if (token)
        require(token->find_first_of("\r\n \0") == std::string::npos);
    return 0;
}

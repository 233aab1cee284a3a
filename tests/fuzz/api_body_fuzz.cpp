// Bodies of API requests: what is accepted is the same after it was written and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "raind/api/codec.h"

namespace {

using namespace raind;

template <typename T>
void check(const Json& json) {
    const auto request = api::decode<T>(json);
    if (!request)
        return;
    const Json written = api::encode(*request);
    const auto text = parse_json(dump_json(written));
    if (!text)
        std::abort();
    const auto again = api::decode<T>(*text);
    if (!again || api::encode(*again) != *text)
        std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto json = parse_json({reinterpret_cast<const char*>(data), size});
    if (!json)
        return 0;
    check<api::CreateContainerRequest>(*json);
    check<api::ExecRequest>(*json);
    check<api::KillRequest>(*json);
    check<api::ImageRequest>(*json);
    check<api::AddPolicyRequest>(*json);
    return 0;
}

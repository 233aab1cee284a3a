#include "userspace/image/extract_child.h"

#include <clocale>
#include <exception>
#include <fmt/format.h>
#include <span>
#include <string>

#include "userspace/common/fs.h"
#include "userspace/common/units.h"
#include "userspace/image/confine.h"
#include "userspace/image/digest.h"
#include "userspace/image/extract_protocol.h"
#include "userspace/image/layer_reader.h"

namespace raind::image {

namespace {

Result<std::string> extract(const ExtractArguments& arguments) {
    const UniqueFd blob(kExtractBlobFd);
    ExtractFolders folders{.layer = UniqueFd(kExtractFolderFd), .below = {}};
    for (std::size_t i = 0; i < arguments.below; ++i)
        folders.below.emplace_back(kExtractBelowFd + static_cast<int>(i));
    // libarchive leaves out names that the locale cannot hold.
    if (std::setlocale(LC_CTYPE, "C.UTF-8") == nullptr)
        return Error(Errc::Internal, "the locale C.UTF-8 is missing");
    // Made before the confinement: the library reads its configuration here.
    RAIND_TRY(const auto source, LayerSource::open(blob.get(), arguments.limits));
    auto confined = confine_to(std::move(folders), arguments.parent, arguments.limits);
    RAIND_TRY(folders, std::move(confined).context("confine the extraction"));
    std::vector<int> below;
    for (const UniqueFd& layer : folders.below)
        below.push_back(layer.get());
    LayerWriter writer(folders.layer.get(), std::move(below), arguments.limits);
    RAIND_TRY(const LayerStats stats, extract_layer(*source, writer, arguments.limits));
    RAIND_CHECK(source->drain());
    return format_report(
        {.diff_id = Digest::from(source->digest()), .stats = stats, .unpacked = source->bytes()});
}

std::string run(std::span<char*> words) {
    try {
        const auto arguments = parse_arguments(words);
        if (!arguments)
            return format_failure(arguments.error());
        auto report = extract(*arguments);
        return report ? *report : format_failure(report.error());
    } catch (const std::exception& e) {
        return format_failure(Error(Errc::Internal, e.what()));
    }
}

}  // namespace

std::optional<int> run_extract_child(int argc, char** argv) {
    const std::span<char*> words(argv, static_cast<std::size_t>(argc));
    if (words.size() < 2 || words[1] != kExtractArgument)
        return std::nullopt;
    const std::string report = run(words.subspan(2));
    const bool written = write_all(kExtractReportFd, report).has_value();
    // No exit handlers: they belong to the program that this process is a copy of.
    ::_exit(written ? 0 : 1);
}

}  // namespace raind::image

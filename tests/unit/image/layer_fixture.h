// A scratch folder in which one layer is laid out by the confined process.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fstream>
#include <stop_token>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/image/tar_builder.h"
#include "userspace/common/fs.h"
#include "userspace/image/extractor.h"

namespace raind::image::test {

class LayerFixture {
  public:
    LayerFixture() : dir_(make_dir()) {
        const stdfs::path empty = dir_.path() / "empty";
        REQUIRE(make_dirs(empty).has_value());
        below.push_back(empty);
        REQUIRE(make_dirs(layer()).has_value());
    }

    stdfs::path layer() const { return dir_.path() / name_; }
    stdfs::path outside() const { return dir_.path() / "outside"; }
    // What was laid out so far becomes a layer below; the next one begins.
    void next_layer() {
        below.insert(below.begin(), layer());
        name_ += "+";
        REQUIRE(make_dirs(layer()).has_value());
    }

    Result<ExtractReport> extract_bytes(const std::string& blob) {
        std::ofstream(dir_.path() / "blob", std::ios::binary) << blob;
        return extract_confined({.program = RAIND_EXTRACT_PROGRAM,
                                 .blob = dir_.path() / "blob",
                                 .folder = layer(),
                                 .below = below,
                                 .limits = limits},
                                std::stop_token{});
    }
    Result<ExtractReport> extract(const std::vector<Entry>& entries) {
        return extract_bytes(gzip(make_tar(entries)));
    }
    // A folder outside with one file.
    void make_outside() const {
        REQUIRE(make_dirs(outside()).has_value());
        std::ofstream(outside() / "good") << "good";
    }
    bool nothing_but_good_outside() const {
        const stdfs::directory_iterator files(outside());
        return std::distance(begin(files), end(files)) == 1 &&
               read_file(outside() / "good").value() == "good";
    }
    struct stat look(const std::string& name) const {
        struct stat info{};
        REQUIRE_MESSAGE(::lstat((layer() / name).c_str(), &info) == 0, name);
        return info;
    }
    bool exists(const std::string& name) const {
        struct stat info{};
        return ::lstat((layer() / name).c_str(), &info) == 0;
    }
    std::string content(const std::string& name) const { return read_file(layer() / name).value(); }

    std::vector<stdfs::path> below;  // an empty one at first
    ExtractLimits limits;

  private:
    static TempDir make_dir() {
        if (::geteuid() != 0) {
            std::puts("SKIP: laying out layers needs root");
            std::exit(77);
        }
        return std::move(TempDir::make("/var/tmp", "raind-layer-")).value();
    }
    TempDir dir_;
    std::string name_ = "layer";
};

}  // namespace raind::image::test

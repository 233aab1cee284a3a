// The container's log: one record per line of output, "<RFC 3339 ns> stdout|stderr P|F <bytes>".
// P: the line goes on in the next record of that stream. Bounded in size by rotation; a full disk
// drops records and counts them. Owned by the shim, single-threaded.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "raind/result.h"
#include "raind/unique_fd.h"

namespace raind::droplet {

enum class OutputStream { Stdout, Stderr };

class ShimLog {
  public:
    // `files` counts the current one: PATH, PATH.1, ... PATH.<files-1>, the highest is the oldest.
    static Result<ShimLog> open(std::string path, std::size_t max_size, int files);

    void append(OutputStream stream, std::string_view bytes);
    // The stream has ended: what is left of its last line is written as a P record, because no line
    // end was there.
    void finish(OutputStream stream);
    std::size_t dropped() const { return dropped_; }

  private:
    ShimLog(std::string path, std::size_t max_size, int files)
        : path_(std::move(path)), max_size_(max_size), files_(files) {}
    Status reopen();
    void add_record(OutputStream stream, char mark, std::string_view bytes);
    void flush();
    void rotate();

    std::string path_;
    std::size_t max_size_;
    int files_;
    UniqueFd fd_;
    std::size_t size_ = 0;
    std::array<std::string, 2> pending_;
    std::string batch_;
    std::size_t batch_records_ = 0;
    std::size_t dropped_ = 0;
};

}  // namespace raind::droplet

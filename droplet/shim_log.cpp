#include "droplet/shim_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "droplet/log.h"

namespace raind::droplet {

namespace {

constexpr std::size_t kLineLimit = 16 * 1024;
constexpr mode_t kMode = 0640;

}  // namespace

Result<ShimLog> ShimLog::open(std::string path, std::size_t max_size, int files) {
    ShimLog log(std::move(path), max_size, files);
    RAIND_CHECK(log.reopen());
    return log;
}

Status ShimLog::reopen() {
    fd_.reset(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kMode));
    struct stat info{};
    if (!fd_ || ::fstat(fd_.get(), &info) != 0)
        return os_error("log " + path_);
    ::fchmod(fd_.get(), kMode);
    size_ = static_cast<std::size_t>(info.st_size);
    return {};
}

void ShimLog::append(OutputStream stream, std::string_view bytes) {
    std::string& pending = pending_[static_cast<std::size_t>(stream)];
    while (!bytes.empty()) {
        const auto end = bytes.find('\n');
        const std::size_t room = kLineLimit - pending.size();
        if (end != std::string_view::npos && end <= room) {
            pending.append(bytes.substr(0, end));
            add_record(stream, 'F', pending);
            pending.clear();
            bytes.remove_prefix(end + 1);
            continue;
        }
        const std::size_t take = std::min(room, bytes.size());
        pending.append(bytes.substr(0, take));
        bytes.remove_prefix(take);
        if (pending.size() == kLineLimit) {
            add_record(stream, 'P', pending);
            pending.clear();
        }
    }
    flush();
}

void ShimLog::finish(OutputStream stream) {
    std::string& pending = pending_[static_cast<std::size_t>(stream)];
    if (!pending.empty())
        add_record(stream, 'P', pending);
    pending.clear();
    flush();
}

void ShimLog::add_record(OutputStream stream, char mark, std::string_view bytes) {
    std::string record = timestamp_now();
    record += stream == OutputStream::Stdout ? " stdout " : " stderr ";
    record += mark;
    record += ' ';
    record += bytes;
    record += '\n';
    if (size_ + batch_.size() + record.size() > max_size_) {
        flush();
        if (size_ > 0)
            rotate();
    }
    batch_ += record;
    ++batch_records_;
}

void ShimLog::flush() {
    if (batch_.empty())
        return;
    std::size_t done = 0;
    while (fd_ && done < batch_.size()) {
        const ssize_t n = ::write(fd_.get(), batch_.data() + done, batch_.size() - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += static_cast<std::size_t>(n);
    }
    if (done == batch_.size()) {
        size_ += done;
    } else {
        // Never half a record: the part that went through is taken back.
        dropped_ += batch_records_;
        if (fd_ && done > 0 && ::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0)
            size_ += done;
    }
    batch_.clear();
    batch_records_ = 0;
    if (!fd_)
        static_cast<void>(reopen());
}

void ShimLog::rotate() {
    if (files_ <= 1) {
        if (::ftruncate(fd_.get(), 0) == 0)
            size_ = 0;
        return;
    }
    for (int i = files_ - 1; i > 1; --i)
        ::rename((path_ + "." + std::to_string(i - 1)).c_str(),
                 (path_ + "." + std::to_string(i)).c_str());
    if (::rename(path_.c_str(), (path_ + ".1").c_str()) != 0)
        return;
    if (auto opened = reopen(); !opened)
        fd_.reset();
}

}  // namespace raind::droplet

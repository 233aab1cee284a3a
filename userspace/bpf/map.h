// BpfMap<K, V>: one map with typed keys and values; owns its descriptor. Move-only. Calls are
// single system calls and may come from any thread; the kernel orders them.
#pragma once

#include <bpf/bpf.h>
#include <cerrno>
#include <cstdint>
#include <linux/bpf.h>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raind/result.h"
#include "raind/unique_fd.h"

namespace raind::bpf {

template <typename K, typename V>
class BpfMap {
  public:
    BpfMap() = default;
    BpfMap(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

    int fd() const { return fd_.get(); }
    const std::string& name() const { return name_; }

    // Absent is no error.
    Result<std::optional<V>> lookup(const K& key) const {
        V value{};
        if (::bpf_map_lookup_elem(fd_.get(), &key, &value) == 0)
            return std::optional<V>(value);
        if (errno == ENOENT)
            return std::optional<V>();
        return os_error("look up in " + name_);
    }
    Status update(const K& key, const V& value, std::uint64_t flags = BPF_ANY) const {
        if (::bpf_map_update_elem(fd_.get(), &key, &value, flags) != 0)
            return os_error("write " + name_, errno == E2BIG ? ENOSPC : errno);
        return {};
    }
    // Whether it was there.
    Result<bool> erase(const K& key) const {
        if (::bpf_map_delete_elem(fd_.get(), &key) == 0)
            return true;
        if (errno == ENOENT)
            return false;
        return os_error("delete from " + name_);
    }
    // Of a map that others change meanwhile: every key that was there all the time.
    Result<std::vector<K>> keys() const {
        std::vector<K> found;
        K key{};
        const void* at = nullptr;
        while (::bpf_map_get_next_key(fd_.get(), at, &key) == 0) {
            found.push_back(key);
            at = &found.back();
            if (found.size() > kMostKeys)
                return Error(Errc::Internal, "walk of " + name_ + " does not end");
        }
        if (errno != ENOENT)
            return os_error("walk " + name_);
        return found;
    }
    Result<std::vector<std::pair<K, V>>> entries() const {
        RAIND_TRY(const std::vector<K> found, keys());
        std::vector<std::pair<K, V>> out;
        out.reserve(found.size());
        for (const K& key : found) {
            RAIND_TRY(const std::optional<V> value, lookup(key));
            if (value)
                out.emplace_back(key, *value);
        }
        return out;
    }
    Status clear() const {
        RAIND_TRY(const std::vector<K> found, keys());
        for (const K& key : found)
            RAIND_CHECK(erase(key));
        return {};
    }

  private:
    static constexpr std::size_t kMostKeys = 1U << 20;
    UniqueFd fd_;
    std::string name_;
};

// A per-CPU map of u64-only values: reads give the sum over all CPUs, writes set all to zero.
template <typename K, typename V>
class PercpuMap {
  public:
    PercpuMap() = default;
    PercpuMap(UniqueFd fd, std::string name, unsigned cpus)
        : fd_(std::move(fd)), name_(std::move(name)), cpus_(cpus) {}

    int fd() const { return fd_.get(); }

    Result<std::vector<V>> lookup(const K& key) const {
        std::vector<V> values(cpus_);
        if (::bpf_map_lookup_elem(fd_.get(), &key, values.data()) == 0)
            return values;
        if (errno == ENOENT)
            return std::vector<V>();
        return os_error("look up in " + name_);
    }
    Status reset(const K& key) const {
        const std::vector<V> values(cpus_);
        if (::bpf_map_update_elem(fd_.get(), &key, values.data(), BPF_ANY) != 0)
            return os_error("write " + name_, errno == E2BIG ? ENOSPC : errno);
        return {};
    }
    Result<bool> erase(const K& key) const {
        if (::bpf_map_delete_elem(fd_.get(), &key) == 0)
            return true;
        if (errno == ENOENT)
            return false;
        return os_error("delete from " + name_);
    }

  private:
    static_assert(sizeof(V) % 8 == 0);
    UniqueFd fd_;
    std::string name_;
    unsigned cpus_ = 0;
};

}  // namespace raind::bpf

// BpfObject: one opened libbpf object; owns it. libbpf's messages are kept so that a refusal by the
// verifier is reported with its reason. One thread.
#pragma once

#include <bpf/libbpf.h>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "raind/result.h"

namespace raind::bpf {

class BpfObject {
  public:
    static Result<BpfObject> open(std::span<const std::byte> elf, const std::string& name);

    bpf_object* get() const { return object_.get(); }
    Status load();
    Result<int> program_fd(const std::string& name) const;

  private:
    struct Close {
        void operator()(bpf_object* object) const { ::bpf_object__close(object); }
    };
    BpfObject(bpf_object* object, std::string name) : object_(object), name_(std::move(name)) {}
    std::unique_ptr<bpf_object, Close> object_;
    std::string name_;
};

}  // namespace raind::bpf

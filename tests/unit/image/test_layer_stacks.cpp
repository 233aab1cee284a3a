// Layers drawn at random, laid out one above the other and merged by the kernel's overlayfs, show
// the tree that a small model of the image specification says.
#include <array>
#include <fmt/ranges.h>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <sys/mount.h>

#include "tests/unit/image/layer_fixture.h"
#include "userspace/common/text.h"

using namespace raind::image::test;
using raind::read_file;

namespace {

using Path = std::vector<std::string>;

struct Node {
    char type = 'd';  // as Entry
    std::string content{};
    unsigned mode = 0755;
    std::map<std::string, std::shared_ptr<Node>> children{};
};
using Tree = std::shared_ptr<Node>;

std::string joined(const Path& path) {
    std::string text;
    for (const std::string& part : path)
        text += (text.empty() ? "" : "/") + part;
    return text;
}

Tree find(const Tree& root, const Path& path) {
    Tree at = root;
    for (const std::string& part : path) {
        const auto child = at->children.find(part);
        if (child == at->children.end())
            return nullptr;
        at = child->second;
    }
    return at;
}

Tree folder_at(const Tree& root, const Path& path) {
    Tree found = find(root, path);
    return found && found->type == 'd' ? found : nullptr;
}

// Folders are new, everything else is shared.
Tree merge(const Tree& below, const Tree& own) {  // NOLINT(misc-no-recursion): as deep as paths
    if (own && own->type != 'd')
        return own;
    if (!own && below->type != 'd')
        return below;
    auto merged = std::make_shared<Node>();
    merged->mode = (own ? own : below)->mode;
    if (below && below->type == 'd')
        for (const auto& [name, child] : below->children)
            merged->children[name] = merge(child, nullptr);
    if (own)
        for (const auto& [name, child] : own->children) {
            const auto covered = merged->children.find(name);
            merged->children[name] =
                merge(covered == merged->children.end() ? nullptr : covered->second, child);
        }
    return merged;
}

// One line for each entry; files that are one have one number.
void describe(const Tree& at, const std::string& path,  // NOLINT(misc-no-recursion)
              std::map<const void*, int>& numbers, std::vector<std::string>& lines) {
    for (const auto& [name, child] : at->children) {
        const std::string where = path + "/" + name;
        const auto number = numbers.try_emplace(child.get(), static_cast<int>(numbers.size()));
        switch (child->type) {
            case 'd':
                lines.push_back(fmt::format("{} d {:o}", where, child->mode));
                describe(child, where, numbers, lines);
                break;
            case 'f':
                lines.push_back(fmt::format("{} f {:o} {} #{}", where, child->mode, child->content,
                                            number.first->second));
                break;
            default:
                lines.push_back(
                    fmt::format("{} l {} #{}", where, child->content, number.first->second));
        }
    }
}

std::string described(const Tree& tree) {
    std::map<const void*, int> numbers;
    std::vector<std::string> lines;
    describe(tree, "", numbers, lines);
    return fmt::format("{}", fmt::join(lines, "\n"));
}

// The tree below a folder, with nodes shared as inodes are.
Tree read_tree(const raind::stdfs::path& folder,  // NOLINT(misc-no-recursion)
               std::map<ino_t, Tree>& seen) {
    auto tree = std::make_shared<Node>();
    for (const auto& entry : raind::stdfs::directory_iterator(folder)) {
        struct stat info{};
        REQUIRE(::lstat(entry.path().c_str(), &info) == 0);
        Tree& child = tree->children[entry.path().filename()];
        if (S_ISDIR(info.st_mode)) {
            child = read_tree(entry.path(), seen);
        } else if (Tree& known = seen[info.st_ino]) {
            child = known;
        } else {
            child = known = std::make_shared<Node>();
            if (S_ISLNK(info.st_mode)) {
                child->type = 'l';
                child->content = raind::stdfs::read_symlink(entry.path());
            } else {
                child->type = S_ISREG(info.st_mode) ? 'f' : '?';
                child->content = S_ISREG(info.st_mode) ? read_file(entry.path()).value() : "";
            }
        }
        child->mode = info.st_mode & 07777;
    }
    return tree;
}

// Draws one layer and keeps the model of what it and those below it show.
class Layer {
  public:
    Layer(const Tree& below, std::mt19937& random)
        : below_(merge(below, nullptr)), own_(std::make_shared<Node>()), random_(random) {}

    void draw(int steps) {
        for (int i = 0; i < steps; ++i) {
            switch (number(8)) {
                case 0:
                case 1:
                    folder();
                    break;
                case 2:
                    symlink();
                    break;
                case 3:
                    whiteout();
                    break;
                case 4:
                    opaque();
                    break;
                case 5:
                    hard_link();
                    break;
                default:
                    file();
            }
        }
    }
    const std::vector<Entry>& entries() const { return entries_; }
    Tree merged() const { return merge(below_, own_); }

  private:
    int number(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }
    std::string name() { return std::string(1, static_cast<char>('a' + number(4))); }
    Path path() {
        Path drawn;
        for (int depth = 1 + number(3); depth > 0; --depth)
            drawn.push_back(name());
        return drawn;
    }

    // Where a path without its last part leads; none where a file, a link of this layer or a loop
    // is in the way.
    std::optional<Path> parent_of(Path full) const {
        full.pop_back();
        const Tree tree = merged();
        Path way;
        int steps = 0;
        while (!full.empty()) {
            if (++steps > 30)
                return {};
            const std::string part = full.front();
            full.erase(full.begin());
            if (part == "..") {
                if (!way.empty())
                    way.pop_back();
                continue;
            }
            way.push_back(part);
            const Tree at = find(tree, way);
            if (!at || at->type == 'd')
                continue;
            if (at->type != 'l' || find(own_, way))
                return {};
            way.pop_back();
            if (at->content.starts_with('/'))
                way.clear();
            Path target = raind::split(at->content, '/');
            std::erase(target, "");
            full.insert(full.begin(), target.begin(), target.end());
        }
        return way;
    }
    // A folder of this layer, made with those above it as the archive did not list it.
    Tree ensure(const Path& way) {
        Tree at = own_;
        Path done;
        for (const std::string& part : way) {
            done.push_back(part);
            Tree& child = at->children[part];
            if (!child) {
                child = std::make_shared<Node>();
                if (const Tree like = folder_at(below_, done))
                    child->mode = like->mode;
            }
            at = child;
        }
        return at;
    }
    void hide(const Path& folder, const std::string& name) const {
        if (const Tree at = folder_at(below_, folder))
            at->children.erase(name);
    }
    // No folder.
    void put(const Path& folder, const std::string& name, const Tree& node) {
        ensure(folder)->children[name] = node;
        hide(folder, name);
    }

    void file() {
        const Path full = path();
        const auto way = parent_of(full);
        if (!way)
            return;
        const std::string content = fmt::format("{}", random_());
        const unsigned mode = 0600U + static_cast<unsigned>(number(8));
        put(*way, full.back(),
            std::make_shared<Node>(Node{.type = 'f', .content = content, .mode = mode}));
        entries_.push_back({.name = joined(full), .content = content, .mode = mode});
    }
    void symlink() {
        const Path full = path();
        const auto way = parent_of(full);
        if (!way)
            return;
        const std::array<std::string, 3> starts = {"", "/", "../"};
        const std::string target = starts.at(static_cast<std::size_t>(number(3))) + joined(path());
        put(*way, full.back(),
            std::make_shared<Node>(Node{.type = 'l', .content = target, .mode = 0777}));
        entries_.push_back({.name = joined(full), .type = 'l', .content = target});
    }
    void folder() {
        const Path full = path();
        const auto way = parent_of(full);
        if (!way)
            return;
        Tree& child = ensure(*way)->children[full.back()];
        if (!child || child->type != 'd')
            child = std::make_shared<Node>();
        child->mode = 0700U + static_cast<unsigned>(number(64));
        entries_.push_back({.name = joined(full), .type = 'd', .mode = child->mode});
    }
    void whiteout() {
        Path full = path();
        const auto way = parent_of(full);
        if (!way)
            return;
        ensure(*way);
        hide(*way, full.back());
        full.back() = ".wh." + full.back();
        entries_.push_back({.name = joined(full), .content = ""});
    }
    void opaque() {
        Path full = path();
        full.back() = ".wh..wh..opq";
        const auto way = parent_of(full);
        if (!way)
            return;
        ensure(*way);
        if (const Tree at = folder_at(below_, *way))
            at->children.clear();
        entries_.push_back({.name = joined(full), .content = ""});
    }
    void collect(const Tree& at, const Path& path,  // NOLINT(misc-no-recursion)
                 std::vector<Path>& files) const {
        for (const auto& [name, child] : at->children) {
            Path where = path;
            where.push_back(name);
            if (child->type == 'd')
                collect(child, where, files);
            else
                files.push_back(where);
        }
    }
    void hard_link() {
        std::vector<Path> files;
        collect(merged(), {}, files);
        const Path full = path();
        const auto way = parent_of(full);
        if (files.empty() || !way)
            return;
        const Path target =
            files.at(static_cast<std::size_t>(number(static_cast<int>(files.size()))));
        Path place = *way;
        place.push_back(full.back());
        // In the place of a folder that the target is in: nothing would be left to link to.
        if (target.size() > place.size() && std::equal(place.begin(), place.end(), target.begin()))
            return;
        // A link of a layer below becomes one of this layer, which may be on the way to the place.
        if (!find(own_, target) && find(below_, target)->type == 'l')
            return;
        const Tree source = ensure(Path(target.begin(), target.end() - 1));
        Tree& linked = source->children[target.back()];
        if (!linked)
            linked = std::make_shared<Node>(*find(below_, target));
        put(*way, full.back(), Tree(linked));
        entries_.push_back({.name = joined(full), .type = 'h', .content = joined(target)});
    }

    Tree below_;
    Tree own_;
    std::mt19937& random_;
    std::vector<Entry> entries_;
};

class Merged {
  public:
    Merged(const raind::stdfs::path& at, const std::vector<raind::stdfs::path>& layers) : at_(at) {
        std::string option = "lowerdir=";
        for (const auto& layer : layers)
            option += (&layer == &layers.front() ? "" : ":") + layer.string();
        REQUIRE(raind::make_dirs(at).has_value());
        REQUIRE(::mount("overlay", at.c_str(), "overlay", MS_RDONLY, option.c_str()) == 0);
    }
    ~Merged() { ::umount2(at_.c_str(), MNT_DETACH); }
    Merged(const Merged&) = delete;
    Merged& operator=(const Merged&) = delete;

    std::string described() const {
        std::map<ino_t, Tree> seen;
        return ::described(read_tree(at_, seen));
    }

  private:
    raind::stdfs::path at_;
};

std::string listed(const std::vector<std::vector<Entry>>& layers) {
    std::string text;
    for (const auto& layer : layers) {
        text += "\nlayer";
        for (const Entry& entry : layer)
            text +=
                fmt::format("\n  {} {} {} {:o}", entry.type, entry.name, entry.content, entry.mode);
    }
    return text;
}

}  // namespace

TEST_CASE("layers: what the kernel merges is what the specification says") {
    constexpr unsigned kStacks = 45;
    for (unsigned seed = 0; seed < kStacks; ++seed) {
        LayerFixture fixture;
        std::mt19937 random(seed);
        auto model = std::make_shared<Node>();
        std::vector<std::vector<Entry>> drawn;
        for (int layer = 0; layer < 4; ++layer) {
            Layer next(model, random);
            next.draw(10);
            drawn.push_back(next.entries());
            const auto report = fixture.extract(next.entries());
            REQUIRE_MESSAGE(report.has_value(),
                            "seed " << seed << ": " << report.error().message() << listed(drawn));
            model = next.merged();
            fixture.next_layer();
        }
        const Merged merged(fixture.outside(), fixture.below);
        REQUIRE_MESSAGE(merged.described() == described(model), "seed " << seed << listed(drawn));
    }
}

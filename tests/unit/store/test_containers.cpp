#include "tests/unit/store/fixture.h"
#include "userspace/store/containers.h"

using namespace raind;
using namespace raind::store;
using test::Fixture;

TEST_CASE("a container comes back with every field") {
    Fixture f;
    const auto identity = *f.store->identities().number_for(IdentityKind::Workload, "name-1");
    core::ContainerRecord in = test::container(1, identity);
    in.ep_id = 9;
    in.pid = 10;
    in.shim_pid = 11;
    in.shim_start = 12;
    in.boot_id = "boot";
    in.image_digest = "sha256:ab";
    in.options.command = {"a"};
    in.options.entrypoint = {"b"};
    in.options.user = "1:2";
    in.options.working_dir = "/w";
    in.options.hostname = "h";
    in.options.read_only = true;
    in.options.cap_drop = {"CHOWN"};
    in.options.auto_remove = true;
    in.options.limits = {.memory = std::int64_t{3} << 40, .nano_cpus = 0};
    in.options.stop_signal = "QUIT";
    in.options.stop_timeout = 0;
    in.ip6 = *IpAddress::parse("fd00::7");
    in.host_interface = "rd_01kx00000001";
    in.exit_code = -1;
    in.reason = "Error";
    in.message = "process down detected.";
    in.created_at = {2};
    in.started_at = {3};
    in.stopped_at = {4};
    REQUIRE(f.store->containers().insert(in).has_value());
    f.open();
    const core::ContainerRecord out = **f.store->containers().find(in.id);
    CHECK(out.uid == in.uid);
    CHECK(out.name == in.name);
    CHECK(out.identity == identity);
    CHECK(out.ep_id == 9);
    CHECK(out.state == core::ContainerState::Created);
    CHECK(out.pid == 10);
    CHECK(out.shim_pid == 11);
    CHECK(out.shim_start == 12);
    CHECK(out.boot_id == "boot");
    CHECK(out.image_repository == in.image_repository);
    CHECK(out.image_reference == in.image_reference);
    CHECK(out.image_digest == in.image_digest);
    CHECK(out.layers == in.layers);
    CHECK(out.process == in.process);
    CHECK(out.options.command == in.options.command);
    CHECK(out.options.entrypoint == in.options.entrypoint);
    CHECK(out.options.env == in.options.env);
    CHECK(out.options.user == in.options.user);
    CHECK(out.options.working_dir == in.options.working_dir);
    CHECK(out.options.hostname == in.options.hostname);
    CHECK(out.options.read_only);
    CHECK(out.options.cap_add == in.options.cap_add);
    CHECK(out.options.cap_drop == in.options.cap_drop);
    CHECK(out.options.labels == in.options.labels);
    CHECK(out.options.auto_remove);
    CHECK(out.options.limits == in.options.limits);
    CHECK(out.options.stop_signal == "QUIT");
    CHECK(out.options.stop_timeout == 0);
    CHECK(out.network == in.network);
    CHECK(out.ip4 == in.ip4);
    CHECK(out.ip6 == in.ip6);
    CHECK(out.mac == in.mac);
    CHECK(out.host_interface == in.host_interface);
    CHECK(out.ids == in.ids);
    CHECK(out.exit_code == -1);
    CHECK(out.reason == in.reason);
    CHECK(out.message == in.message);
    CHECK(out.creating_at == in.creating_at);
    CHECK(out.created_at == in.created_at);
    CHECK(out.started_at == in.started_at);
    CHECK(out.stopped_at == in.stopped_at);
}

TEST_CASE("names, ids and uids have one owner") {
    Fixture f;
    auto& containers = f.store->containers();
    REQUIRE(containers.insert(test::container(1)).has_value());
    core::ContainerRecord other = test::container(2);
    other.name = "name-1";
    CHECK(containers.insert(other).error().code() == Errc::AlreadyExists);
    other = test::container(1);
    other.name = "other";
    CHECK(containers.insert(other).error().code() == Errc::AlreadyExists);
    other = test::container(2);
    other.name = "";
    CHECK_FALSE(containers.insert(other).has_value());
    CHECK(containers.list()->size() == 1);
    REQUIRE(containers.insert(test::container(2)).has_value());
    other = test::container(2);
    other.name = "name-1";
    CHECK(containers.update(other).error().code() == Errc::AlreadyExists);
    CHECK((*containers.find(other.id))->name == "name-2");
}

TEST_CASE("an identity that nobody gave is refused, and one in use cannot be forgotten") {
    Fixture f;
    CHECK_FALSE(f.store->containers().insert(test::container(1, 4711)).has_value());
    const auto identity = *f.store->identities().number_for(IdentityKind::Workload, "name-1");
    REQUIRE(f.store->containers().insert(test::container(1, identity)).has_value());
    CHECK(f.store->identities().forget(IdentityKind::Workload, "name-1").error().code() ==
          Errc::Conflict);
    REQUIRE(f.store->containers().remove(test::container(1).id).has_value());
    CHECK(f.store->identities().forget(IdentityKind::Workload, "name-1").has_value());
}

TEST_CASE("a reference is a name, an id or a prefix of one id, names first") {
    Fixture f;
    auto& containers = f.store->containers();
    REQUIRE(containers.insert(test::container(1)).has_value());
    REQUIRE(containers.insert(test::container(2)).has_value());
    core::ContainerRecord tricky = test::container(3);
    tricky.name = test::container(1).id;
    REQUIRE(containers.insert(tricky).has_value());
    CHECK(containers.resolve("name-2")->id == test::container(2).id);
    CHECK(containers.resolve(test::container(2).id)->name == "name-2");
    CHECK(containers.resolve(test::container(1).id)->id == tricky.id);
    CHECK(containers.resolve("01kx").error().code() == Errc::Conflict);
    CHECK(containers.resolve("").error().code() == Errc::NotFound);
    CHECK(containers.resolve("%").error().code() == Errc::NotFound);
    CHECK(containers.resolve("absent").error().message() == "container: absent not found");
    CHECK(containers.find_by_name("name-2")->has_value());
    CHECK(containers.resolve("01kx0000").error().message() ==
          "container: 01kx0000 fits several ids: 01kx00000001 (name-1), 01kx00000002 (name-2), "
          "01kx00000003 (01kx00000001)");
    for (int number = 4; number <= 8; ++number)
        REQUIRE(containers.insert(test::container(number)).has_value());
    const std::string many = containers.resolve("01kx").error().message();
    CHECK(many.ends_with("01kx00000004 (name-4), 01kx00000005 (name-5) and 3 more"));
    CHECK_FALSE(containers.find_by_name("absent")->has_value());
}

TEST_CASE("update of a container that is not there is an error, removal is not") {
    Fixture f;
    auto& containers = f.store->containers();
    CHECK(containers.update(test::container(1)).error().code() == Errc::NotFound);
    CHECK(containers.remove("absent").has_value());
    REQUIRE(containers.insert(test::container(2)).has_value());
    REQUIRE(containers.insert(test::container(1)).has_value());
    core::ContainerRecord changed = test::container(1);
    changed.state = core::ContainerState::Running;
    REQUIRE(containers.update(changed).has_value());
    const auto list = *containers.list();
    REQUIRE(list.size() == 2);
    CHECK(list[0].state == core::ContainerState::Running);
    CHECK(list[1].id == test::container(2).id);
    CHECK(*containers.image_in_use("library/busybox", "1.36"));
    CHECK_FALSE(*containers.image_in_use("library/busybox", "1.37"));
}

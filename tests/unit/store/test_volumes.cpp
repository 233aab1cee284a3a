#include "tests/unit/store/fixture.h"
#include "userspace/store/volumes.h"

using namespace raind;
using namespace raind::store;
using core::VolumeState;
using test::Fixture;

namespace {

std::string make_container(Fixture& f, int number) {
    const auto identity =
        *f.store->identities().number_for(IdentityKind::Workload, "name-" + std::to_string(number));
    const core::ContainerRecord record = test::container(number, identity);
    REQUIRE(f.store->containers().insert(record).has_value());
    return record.id;
}

}  // namespace

TEST_CASE("a volume comes back with every field, and a name is taken once") {
    Fixture f;
    REQUIRE(f.store->volumes().insert({"db", VolumeState::Filling, {{"a", "b"}}, {7}}).has_value());
    CHECK(f.store->volumes().insert({.name = "db"}).error().code() == Errc::AlreadyExists);
    REQUIRE(f.store->volumes().insert({.name = "a"}).has_value());
    f.open();
    const auto list = *f.store->volumes().list();
    REQUIRE(list.size() == 2);
    CHECK(list[0].name == "a");
    CHECK(list[0].state == VolumeState::Empty);
    CHECK(list[1].name == "db");
    CHECK(list[1].state == VolumeState::Filling);
    CHECK(list[1].labels == std::map<std::string, std::string>{{"a", "b"}});
    CHECK(list[1].created_at.ns == 7);
    REQUIRE(f.store->volumes().set_state("db", VolumeState::Ready).has_value());
    CHECK((*f.store->volumes().find("db"))->state == VolumeState::Ready);
    CHECK(f.store->volumes().set_state("x", VolumeState::Ready).error().code() == Errc::NotFound);
    REQUIRE(f.store->volumes().remove("db").has_value());
    REQUIRE(f.store->volumes().remove("db").has_value());
    CHECK_FALSE(f.store->volumes().find("db")->has_value());
}

TEST_CASE("a volume with users stays; a user is gone with its container") {
    Fixture f;
    const std::string one = make_container(f, 1);
    const std::string two = make_container(f, 2);
    REQUIRE(f.store->volumes().insert({.name = "db"}).has_value());
    for (const std::string& id : {two, one, one})
        REQUIRE(f.store->volumes().add_user("db", id).has_value());
    CHECK_FALSE(f.store->volumes().add_user("other", one).has_value());
    CHECK_FALSE(f.store->volumes().add_user("db", "000000000000").has_value());
    CHECK(*f.store->volumes().users("db") == std::vector<std::string>{one, two});
    CHECK(f.store->volumes().remove("db").error().code() == Errc::Conflict);
    REQUIRE(f.store->containers().update(*f.store->containers().resolve(one)).has_value());
    CHECK(f.store->volumes().users("db")->size() == 2);
    REQUIRE(f.store->containers().remove(one).has_value());
    CHECK(*f.store->volumes().users("db") == std::vector<std::string>{two});
    REQUIRE(f.store->containers().remove(two).has_value());
    CHECK(f.store->volumes().remove("db").has_value());
}

TEST_CASE("the mounts of a container come back") {
    Fixture f;
    const auto identity = *f.store->identities().number_for(IdentityKind::Workload, "name-1");
    core::ContainerRecord in = test::container(1, identity);
    in.options.mounts = {{core::MountKind::Bind, "/srv", "/a", true, false},
                         {core::MountKind::Volume, "db", "/b", false, true}};
    REQUIRE(f.store->containers().insert(in).has_value());
    f.open();
    CHECK((*f.store->containers().find(in.id))->options.mounts == in.options.mounts);
}

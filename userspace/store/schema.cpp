#include "userspace/store/schema.h"

namespace raind::store {

namespace {

// Times are nanoseconds since the epoch, 0 is never. Lists and maps are JSON text. Addresses are
// text, so that the sqlite3 shell shows them; empty is none.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE identities (
    number INTEGER PRIMARY KEY,
    kind   TEXT NOT NULL CHECK (kind IN ('workload', 'selector', 'cidr', 'fqdn')),
    name   TEXT NOT NULL,
    UNIQUE (kind, name)
) STRICT;

CREATE TABLE csm_containers (
    id               TEXT PRIMARY KEY CHECK (length(id) = 12),
    uid              TEXT NOT NULL UNIQUE CHECK (length(uid) = 26),
    name             TEXT NOT NULL UNIQUE CHECK (name <> ''),
    identity         INTEGER REFERENCES identities (number),
    ep_id            INTEGER NOT NULL,
    state            TEXT NOT NULL CHECK (state IN ('creating', 'created', 'running', 'stopped')),
    pid              INTEGER NOT NULL,
    shim_pid         INTEGER NOT NULL,
    shim_start       INTEGER NOT NULL,
    boot_id          TEXT NOT NULL,
    image_repository TEXT NOT NULL,
    image_reference  TEXT NOT NULL,
    image_digest     TEXT NOT NULL,
    layers           TEXT NOT NULL,
    process          TEXT NOT NULL,
    options          TEXT NOT NULL,
    network          TEXT NOT NULL,
    ip4              TEXT NOT NULL,
    ip6              TEXT NOT NULL,
    mac              TEXT NOT NULL,
    host_interface   TEXT NOT NULL,
    range_first      INTEGER NOT NULL,
    range_count      INTEGER NOT NULL,
    exit_code        INTEGER NOT NULL,
    reason           TEXT NOT NULL,
    message          TEXT NOT NULL,
    creating_at      INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    started_at       INTEGER NOT NULL,
    stopped_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX csm_identity ON csm_containers (identity);

CREATE TABLE ilm_images (
    repository      TEXT NOT NULL,
    reference       TEXT NOT NULL,
    manifest_digest TEXT NOT NULL,
    config_digest   TEXT NOT NULL,
    layers          TEXT NOT NULL,
    blobs           TEXT NOT NULL,
    size_bytes      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    pulled_at       INTEGER NOT NULL,
    PRIMARY KEY (repository, reference)
) STRICT, WITHOUT ROWID;

CREATE TABLE ipam_pools (
    interface TEXT PRIMARY KEY CHECK (interface <> ''),
    subnet4   TEXT NOT NULL UNIQUE,
    gateway4  TEXT NOT NULL,
    subnet6   TEXT NOT NULL,
    gateway6  TEXT NOT NULL,
    mac       TEXT NOT NULL,
    number    INTEGER NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

CREATE TABLE ipam_allocations (
    interface    TEXT NOT NULL REFERENCES ipam_pools (interface),
    ip4          TEXT NOT NULL,
    ip6          TEXT NOT NULL,
    container_id TEXT NOT NULL,
    assigned_at  INTEGER NOT NULL,
    released_at  INTEGER NOT NULL,
    PRIMARY KEY (interface, ip4)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX ipam_one_address ON ipam_allocations (container_id) WHERE container_id <> '';

CREATE TABLE id_ranges (
    first        INTEGER PRIMARY KEY,
    count        INTEGER NOT NULL CHECK (count > 0),
    container_id TEXT NOT NULL,
    released_at  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX id_one_range ON id_ranges (container_id) WHERE container_id <> '';

CREATE TABLE npm_state (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    revision    INTEGER NOT NULL,
    mode        TEXT NOT NULL CHECK (mode IN ('observe', 'enforce')),
    staged_mode TEXT CHECK (staged_mode IN ('observe', 'enforce')),
    next_rule   INTEGER NOT NULL
) STRICT;
INSERT INTO npm_state VALUES (1, 0, 'observe', NULL, 256);

CREATE TABLE npm_policies (
    view             TEXT NOT NULL CHECK (view IN ('staged', 'committed')),
    id               TEXT NOT NULL CHECK (length(id) = 26),
    position         INTEGER NOT NULL,
    chain            TEXT NOT NULL CHECK (chain IN ('east_west', 'north_south_observe',
                                                    'north_south_enforce')),
    status           TEXT NOT NULL CHECK (status IN ('before_commit', 'applied',
                                                     'remove_next_commit', 'unresolved')),
    reason           TEXT NOT NULL,
    source           TEXT NOT NULL,
    destination_name TEXT NOT NULL,
    destination_cidr TEXT NOT NULL,
    protocol         TEXT NOT NULL,
    dport            INTEGER NOT NULL CHECK (dport BETWEEN 0 AND 65535),
    comment          TEXT NOT NULL,
    rule             INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    PRIMARY KEY (view, id)
) STRICT, WITHOUT ROWID;
)sql";

// Intents came second: a store of version 1 has none in progress.
constexpr const char* kVersion2 = R"sql(
CREATE TABLE operations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT NOT NULL,
    object     TEXT NOT NULL,
    step       TEXT NOT NULL,
    payload    TEXT NOT NULL,
    started_at INTEGER NOT NULL
) STRICT;
)sql";

// Volumes came third. A container's use of one ends with the container.
constexpr const char* kVersion3 = R"sql(
CREATE TABLE vsm_volumes (
    name       TEXT PRIMARY KEY CHECK (name <> ''),
    state      TEXT NOT NULL CHECK (state IN ('empty', 'filling', 'ready', 'removing')),
    labels     TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE vsm_users (
    volume       TEXT NOT NULL REFERENCES vsm_volumes (name),
    container_id TEXT NOT NULL REFERENCES csm_containers (id) ON DELETE CASCADE,
    PRIMARY KEY (volume, container_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX vsm_by_container ON vsm_users (container_id);
)sql";

}  // namespace

const std::vector<Migration>& schema() {
    static const std::vector<Migration> steps = {{1, kVersion1}, {2, kVersion2}, {3, kVersion3}};
    return steps;
}

}  // namespace raind::store

// Tells what a container's process sees of its image. Static C, run inside containers.
//
//   tree FOLDER...   one line for each entry below: key=value pairs; text is in hexadecimal
//   self [WORD...]   ids, working directory, environment and arguments of this process
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { EXIT_SET_UP = 2, kOpenFolders = 32, kBuffer = 65536, kMaxGroups = 64 };

extern char** environ;

static void print_hex(const char* key, const void* bytes, size_t size) {
    const unsigned char* at = bytes;
    printf("%s=", key);
    for (size_t i = 0; i < size; ++i)
        printf("%02x", at[i]);
}

static char kind_of(mode_t mode) {
    switch (mode & S_IFMT) {
        case S_IFREG:
            return 'f';
        case S_IFDIR:
            return 'd';
        case S_IFLNK:
            return 'l';
        case S_IFIFO:
            return 'p';
        case S_IFCHR:
            return 'c';
        case S_IFBLK:
            return 'b';
        default:
            return '?';
    }
}

// FNV-1a, 64 bits: enough to tell contents of tests apart.
static void print_hash(const char* path) {
    static unsigned char buffer[kBuffer];
    uint64_t hash = 0xcbf29ce484222325U;
    const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t got = -1;
    while (fd >= 0 && (got = read(fd, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < got; ++i)
            hash = (hash ^ buffer[i]) * 0x100000001b3U;
    }
    if (fd >= 0)
        close(fd);
    if (got < 0)
        printf(" hash=errno:%d", errno);
    else
        printf(" hash=%016" PRIx64, hash);
}

static void print_xattrs(const char* path) {
    static char names[kBuffer];
    static char value[kBuffer];
    const ssize_t size = llistxattr(path, names, sizeof names);
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1) {
        const ssize_t length = lgetxattr(path, names + at, value, sizeof value);
        printf(" xattr:%s", names + at);
        if (length < 0)
            printf("=errno:%d", errno);
        else
            print_hex("", value, (size_t)length);
    }
}

static int show(const char* path, const struct stat* info, int flag, struct FTW* where) {
    (void)flag;
    (void)where;
    print_hex("path", path, strlen(path));
    printf(" kind=%c mode=%o uid=%u gid=%u links=%lu", kind_of(info->st_mode),
           info->st_mode & 07777U, info->st_uid, info->st_gid, (unsigned long)info->st_nlink);
    if (S_ISREG(info->st_mode)) {
        printf(" size=%lld", (long long)info->st_size);
        print_hash(path);
    }
    if (S_ISLNK(info->st_mode)) {
        static char target[kBuffer];
        const ssize_t length = readlink(path, target, sizeof target);
        if (length >= 0)
            print_hex(" target", target, (size_t)length);
    }
    print_xattrs(path);
    putchar('\n');
    return 0;
}

static int self(int argc, char** argv) {
    gid_t groups[kMaxGroups];
    static char folder[kBuffer];
    const int count = getgroups(kMaxGroups, groups);
    printf("uid=%u\ngid=%u\ngroups=", geteuid(), getegid());
    for (int i = 0; i < count; ++i)
        printf(i ? ",%u" : "%u", groups[i]);
    puts("");
    if (getcwd(folder, sizeof folder)) {
        print_hex("folder", folder, strlen(folder));
        puts("");
    }
    for (char** at = environ; *at; ++at) {
        print_hex("variable", *at, strlen(*at));
        puts("");
    }
    for (int i = 0; i < argc; ++i) {
        print_hex("word", argv[i], strlen(argv[i]));
        puts("");
    }
    return 0;
}

int main(int argc, char** argv) {
    if (argc > 1 && strcmp(argv[1], "self") == 0)
        return self(argc - 2, argv + 2);
    if (argc < 3 || strcmp(argv[1], "tree") != 0) {
        fputs("tree_probe tree FOLDER... | self [WORD...]\n", stderr);
        return EXIT_SET_UP;
    }
    for (int i = 2; i < argc; ++i) {
        if (nftw(argv[i], show, kOpenFolders, FTW_PHYS) != 0) {
            fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
            return EXIT_SET_UP;
        }
    }
    return 0;
}

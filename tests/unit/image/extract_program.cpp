#include <cstdio>

#include "userspace/image/extract_child.h"

int main(int argc, char** argv) {
    if (const auto code = raind::image::run_extract_child(argc, argv))
        return *code;
    std::fputs("only for the tests of layers\n", stderr);
    return 2;
}

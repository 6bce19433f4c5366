/* Makes each flush of a file take two milliseconds more, as on a disk that is not in the machine. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

enum { DELAY_MICROSECONDS = 2000 };

static int flush_slowly(const char *name, int file) {
    int (*flush)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    usleep(DELAY_MICROSECONDS);
    return flush(file);
}

int fsync(int file) { return flush_slowly("fsync", file); }
int fdatasync(int file) { return flush_slowly("fdatasync", file); }

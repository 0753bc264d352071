/* A disk that fails, and a record of what was written to it: preloaded into a process, for the files of one folder.
 *
 * FAULTY_DISK_FOLDER  the folder, its links followed
 * FAULTY_DISK_PLAN    optional: a file of four 64-bit integers that the process maps too: how many writes,
 *                     truncations and syncs there were, which of them fails (0: none), whether all after it fail too,
 *                     and the error they fail with
 * FAULTY_DISK_LOG     optional: where each operation is recorded before it happens, for a power cut to be played
 *
 * Nothing is really synced: what a power cut takes is played from the record, and a killed process loses nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum operation { WRITE = 1, TRUNCATE = 2, SYNC = 3, UNLINK = 4 };

struct plan {
    int64_t count, fail_at, sticky, error;
};

struct record {
    int64_t operation, name_bytes, offset, length;
};

static char folder[PATH_MAX];
static size_t folder_bytes;
static volatile struct plan *plan;
static int log_descriptor = -1;

__attribute__((constructor)) static void begin(void) {
    const char *named = getenv("FAULTY_DISK_FOLDER"), *planned = getenv("FAULTY_DISK_PLAN"), *log = getenv("FAULTY_DISK_LOG");
    if (!named) return;
    snprintf(folder, sizeof folder, "%s", named);
    folder_bytes = strlen(folder);
    if (planned) {
        int descriptor = open(planned, O_RDWR | O_CLOEXEC);
        void *mapped = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
        if (mapped == MAP_FAILED) abort();
        plan = mapped;
    }
    if (log && (log_descriptor = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) < 0) abort();
}

/* The name below the folder ("" for the folder itself), NULL for what lies elsewhere. */
static const char *below(const char *path) {
    if (!folder_bytes || strncmp(path, folder, folder_bytes)) return NULL;
    if (path[folder_bytes] == 0) return path + folder_bytes;
    return path[folder_bytes] == '/' ? path + folder_bytes + 1 : NULL;
}

static const char *name_of(int descriptor, char *path) {
    char link[64];
    if (!folder_bytes) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return NULL;
    path[length] = 0;
    return below(path);
}

static int fails(void) {
    if (!plan) return 0;
    int64_t number = ++plan->count;
    if (!plan->fail_at || number < plan->fail_at || (number > plan->fail_at && !plan->sticky)) return 0;
    errno = (int)plan->error;
    return 1;
}

static void record(enum operation operation, const char *name, int64_t offset, const void *data, int64_t length) {
    struct record head = {operation, (int64_t)strlen(name), offset, length};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)name, strlen(name)}, {(void *)data, data ? (size_t)length : 0}};
    if (log_descriptor >= 0 && writev(log_descriptor, parts, 3) < 0) abort();
}

static ssize_t write_at(int descriptor, const void *data, size_t length, off64_t offset) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    char path[PATH_MAX];
    const char *name = name_of(descriptor, path);
    if (!real) real = dlsym(RTLD_NEXT, "pwrite64");
    if (name) {
        if (fails()) return -1;
        record(WRITE, name, offset, data, (int64_t)length);
    }
    return real(descriptor, data, length, offset);
}

ssize_t pwrite(int descriptor, const void *data, size_t length, off_t offset) {
    return write_at(descriptor, data, length, offset);
}

ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t offset) {
    return write_at(descriptor, data, length, offset);
}

ssize_t write(int descriptor, const void *data, size_t length) {
    static ssize_t (*real)(int, const void *, size_t);
    char path[PATH_MAX];
    const char *name = name_of(descriptor, path);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    if (name) {
        if (fails()) return -1;
        record(WRITE, name, lseek64(descriptor, 0, SEEK_CUR), data, (int64_t)length);
    }
    return real(descriptor, data, length);
}

static int truncate_to(int descriptor, off64_t length) {
    static int (*real)(int, off64_t);
    char path[PATH_MAX];
    const char *name = name_of(descriptor, path);
    if (!real) real = dlsym(RTLD_NEXT, "ftruncate64");
    if (name) {
        if (fails()) return -1;
        record(TRUNCATE, name, 0, NULL, length);
    }
    return real(descriptor, length);
}

int ftruncate(int descriptor, off_t length) { return truncate_to(descriptor, length); }

int ftruncate64(int descriptor, off64_t length) { return truncate_to(descriptor, length); }

static int sync_all(int descriptor, const char *symbol) {
    char path[PATH_MAX];
    const char *name = name_of(descriptor, path);
    if (!name) {
        int (*real)(int) = dlsym(RTLD_NEXT, symbol);
        return real(descriptor);
    }
    if (fails()) return -1;
    record(SYNC, name, 0, NULL, 0);
    return 0;
}

int fsync(int descriptor) { return sync_all(descriptor, "fsync"); }

int fdatasync(int descriptor) { return sync_all(descriptor, "fdatasync"); }

int unlink(const char *path) {
    static int (*real)(const char *);
    const char *name = below(path);
    if (!real) real = dlsym(RTLD_NEXT, "unlink");
    int result = real(path);
    if (result == 0 && name) record(UNLINK, name, 0, NULL, 0);
    return result;
}

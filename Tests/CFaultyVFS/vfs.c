// A file system for SQLite that asks before it reads or changes a file. Only those calls are its own; all others go straight to
// the system's. C, because SQLite asks for a table of C functions and files whose size it decides itself.
#include "CFaultyVFS.h"
#include <sqlite3.h>
#include <string.h>

typedef struct {
    sqlite3_file base;
    void *disk;
    // SQLite's own copy of the name, there until the file is closed.
    const char *path;
    // The system's file lies behind this one, in memory that SQLite gave.
    sqlite3_file *real;
} asked_file;

static sqlite3_vfs *system_vfs;
static faulty_attach attach;
static faulty_decide decide;

static sqlite3_file *real(sqlite3_file *file) { return ((asked_file *)file)->real; }

static int ask(sqlite3_file *file, enum faulty_act act, const void *bytes, long long offset, long long *amount) {
    asked_file *asked = (asked_file *)file;
    return decide(asked->disk, asked->path, act, bytes, offset, amount);
}

static int close_file(sqlite3_file *file) { return real(file)->pMethods->xClose(real(file)); }

static int read_file(sqlite3_file *file, void *bytes, int amount, sqlite3_int64 offset) {
    long long wanted = amount;
    int result = ask(file, FAULTY_READ, NULL, offset, &wanted);
    return result != SQLITE_OK ? result : real(file)->pMethods->xRead(real(file), bytes, amount, offset);
}

static int write_file(sqlite3_file *file, const void *bytes, int amount, sqlite3_int64 offset) {
    long long allowed = amount;
    int result = ask(file, FAULTY_WRITE, bytes, offset, &allowed);
    if (result != SQLITE_OK && (allowed == amount || allowed <= 0)) return result;
    int written = real(file)->pMethods->xWrite(real(file), bytes, (int)allowed, offset);
    return result != SQLITE_OK ? result : written;
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 size) {
    long long length = size;
    int result = ask(file, FAULTY_TRUNCATE, NULL, 0, &length);
    return result != SQLITE_OK ? result : real(file)->pMethods->xTruncate(real(file), size);
}

static int sync_file(sqlite3_file *file, int flags) {
    long long none = 0;
    int result = ask(file, FAULTY_SYNC, NULL, 0, &none);
    // Only the disk that is simulated counts: the real one need not be waited for.
    (void)flags;
    return result;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size) { return real(file)->pMethods->xFileSize(real(file), size); }
static int lock_file(sqlite3_file *file, int level) { return real(file)->pMethods->xLock(real(file), level); }
static int unlock_file(sqlite3_file *file, int level) { return real(file)->pMethods->xUnlock(real(file), level); }
static int check_lock(sqlite3_file *file, int *held) { return real(file)->pMethods->xCheckReservedLock(real(file), held); }
static int control(sqlite3_file *file, int op, void *value) { return real(file)->pMethods->xFileControl(real(file), op, value); }
static int sector_size(sqlite3_file *file) { return real(file)->pMethods->xSectorSize(real(file)); }
static int traits(sqlite3_file *file) { return real(file)->pMethods->xDeviceCharacteristics(real(file)); }
static int shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **memory) {
    return real(file)->pMethods->xShmMap(real(file), page, size, extend, memory);
}
static int shm_lock(sqlite3_file *file, int offset, int count, int flags) {
    return real(file)->pMethods->xShmLock(real(file), offset, count, flags);
}
static void shm_barrier(sqlite3_file *file) { real(file)->pMethods->xShmBarrier(real(file)); }
static int shm_unmap(sqlite3_file *file, int delete) { return real(file)->pMethods->xShmUnmap(real(file), delete); }

// Version 2: shared memory, but no mapping of the file itself, which would go past `write_file`.
static const sqlite3_io_methods methods = {
    2, close_file, read_file, write_file, truncate_file, sync_file, file_size, lock_file, unlock_file, check_lock,
    control, sector_size, traits, shm_map, shm_lock, shm_barrier, shm_unmap, NULL, NULL,
};

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *outFlags) {
    void *disk = name ? attach(name) : NULL;
    (void)vfs;
    if (!disk) return system_vfs->xOpen(system_vfs, name, file, flags, outFlags);
    asked_file *asked = (asked_file *)file;
    asked->real = (sqlite3_file *)(asked + 1);
    asked->disk = disk;
    asked->path = name;
    int result = system_vfs->xOpen(system_vfs, name, asked->real, flags, outFlags);
    // Methods are set where the system's file has some, even if it could not be opened: then SQLite closes it.
    file->pMethods = asked->real->pMethods ? &methods : NULL;
    return result;
}

static int delete_file(sqlite3_vfs *vfs, const char *name, int syncDirectory) {
    void *disk = attach(name);
    long long none = 0;
    int result = disk ? decide(disk, name, FAULTY_DELETE, NULL, syncDirectory, &none) : SQLITE_OK;
    (void)vfs;
    return result != SQLITE_OK ? result : system_vfs->xDelete(system_vfs, name, syncDirectory);
}

int faulty_vfs_register(faulty_attach attach_file, faulty_decide decide_act) {
    static sqlite3_vfs vfs;
    system_vfs = sqlite3_vfs_find(NULL);
    if (!system_vfs) return SQLITE_ERROR;
    attach = attach_file;
    decide = decide_act;
    vfs = *system_vfs;
    vfs.zName = "asked";
    vfs.pNext = NULL;
    vfs.szOsFile = (int)sizeof(asked_file) + system_vfs->szOsFile;
    vfs.xOpen = open_file;
    vfs.xDelete = delete_file;
    return sqlite3_vfs_register(&vfs, 1);
}

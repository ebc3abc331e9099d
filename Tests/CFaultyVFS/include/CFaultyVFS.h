#ifndef C_FAULTY_VFS_H
#define C_FAULTY_VFS_H

/// An act of SQLite on a file that is about to happen.
enum faulty_act { FAULTY_READ, FAULTY_WRITE, FAULTY_TRUNCATE, FAULTY_SYNC, FAULTY_DELETE };

/// Says whose a file is that is about to be opened; NULL leaves it to the system altogether.
typedef void *(*faulty_attach)(const char *path);

/// Decides an act: returns 0 to let it happen, or one of SQLite's result codes. `*amount`, the bytes of a write or the
/// length to truncate to, may be made smaller: so much of a failing write is carried out. The `offset` of a deletion says
/// whether the directory is synced behind it.
typedef int (*faulty_decide)(
    void *disk, const char *path, enum faulty_act act, const void *bytes, long long offset, long long *amount);

/// Puts a file system between SQLite and the system's own, once and for the whole process. Returns SQLite's result code.
int faulty_vfs_register(faulty_attach attach, faulty_decide decide);

#endif

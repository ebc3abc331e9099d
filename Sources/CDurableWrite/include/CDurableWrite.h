#include <stddef.h>
#include <sys/types.h>

/// `O_DIRECT`, which Swift does not see.
int tandem_o_direct(void);

/// One attempt to write bytes at an offset of a file, and to have them on the disk before it returns (`RWF_DSYNC`). As `pwrite`.
ssize_t tandem_write_durably(int descriptor, const void *bytes, size_t count, off_t offset);

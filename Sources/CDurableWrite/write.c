// O_DIRECT, RWF_DSYNC and pwritev2 are Linux's own.
#define _GNU_SOURCE
#include "CDurableWrite.h"
#include <fcntl.h>
#include <sys/uio.h>

int tandem_o_direct(void) { return O_DIRECT; }

ssize_t tandem_write_durably(int descriptor, const void *bytes, size_t count, off_t offset) {
    struct iovec piece = {(void *)bytes, count};
    return pwritev2(descriptor, &piece, 1, offset, RWF_DSYNC);
}

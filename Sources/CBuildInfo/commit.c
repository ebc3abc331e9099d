#include "CBuildInfo.h"

#ifndef TANDEM_COMMIT
#define TANDEM_COMMIT ""
#endif

const char *tandem_build_commit(void) { return TANDEM_COMMIT; }

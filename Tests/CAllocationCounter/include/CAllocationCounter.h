#pragma once

/// How often the calling thread has asked for memory: calls of malloc, calloc, realloc and their aligned kin.
unsigned long long tandem_allocation_count(void);

/* The HTTP upgrade of one connection, as bytes: what is asked, and whether the answer is the right one. */
#ifndef BENCH_UPGRADE_H
#define BENCH_UPGRADE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "options.h"

enum { UPGRADE_MAX = 1024 };

/* Writes the request of the connection with this number and returns its length. Exits with 2 when it is too
 * long. */
size_t upgrade_request(const struct options *options, uint32_t id, char request[UPGRADE_MAX]);

/* Checks the answer (RFC 6455, section 4.1). Returns its size, 0 when it is not complete, -1 when it is not
 * right. */
ssize_t upgrade_check(uint32_t id, const uint8_t *data, size_t length);

#endif

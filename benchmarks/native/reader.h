/* Reading a socket through one shared buffer. Only bytes of an unfinished frame are kept for each connection,
 * so a thousand idle connections cost next to nothing and a whole burst costs one read(). */
#ifndef BENCH_READER_H
#define BENCH_READER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One call takes at most this, so that one busy connection cannot keep the others waiting. */
enum { READ_MOST = 256 * 1024 };

struct tail {
    uint8_t *data; /* bytes of an unfinished frame, or NULL */
    size_t length;
};

/* Reads what is there into the shared buffer, behind the kept tail. Sets `*data` to the first byte. Less than
 * READ_MOST new bytes mean that the socket is empty now. Returns the bytes now at `*data`, 0 at the end of
 * the stream, -1 when nothing was there to read, -2 on error. */
ssize_t reader_fill(int fd, struct tail *tail, uint8_t **data);

/* Keeps `length` bytes for the next call. Exits when memory is out: a bench without it has no meaning. */
void reader_keep(struct tail *tail, const uint8_t *data, size_t length);

#endif

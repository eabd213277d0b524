#include "reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A frame that does not fit is no part of any row; it is an error, not a reason to grow. */
static uint8_t shared[4u << 20];
ssize_t reader_fill(int fd, struct tail *tail, uint8_t **data)
{
    size_t kept = tail->length;
    if (kept + READ_MOST > sizeof shared)
        return -2;
    /* recv() skips what read() does for any kind of file. */
    ssize_t got = recv(fd, shared + kept, READ_MOST, 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? -1 : -2;
    if (got == 0)
        return 0;
    if (kept != 0) {
        memcpy(shared, tail->data, kept);
        free(tail->data);
        *tail = (struct tail){0};
    }
    *data = shared;
    return (ssize_t)kept + got;
}

void reader_keep(struct tail *tail, const uint8_t *data, size_t length)
{
    if (length == 0)
        return;
    tail->data = malloc(length);
    if (tail->data == NULL) {
        perror("malloc");
        exit(1);
    }
    memcpy(tail->data, data, length);
    tail->length = length;
}

/* Many WebSocket connections on one epoll instance: opening them, reading their messages, sending to them. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"
#include "options.h"
#include "reader.h"

enum phase {
    CONNECTING, /* connect() is under way */
    UPGRADING,  /* the HTTP upgrade is sent */
    GREETING,   /* the upgrade is answered, the row's own first words are not */
    OPEN,
    GONE
};

struct connection {
    int fd;
    uint32_t id;
    enum phase phase;
    bool wants_write;    /* EPOLLOUT is asked for */
    bool dirty;          /* it is in the list of those with bytes to send */
    uint16_t close_code; /* of the server's close frame; 1006 when there was none (RFC 6455, section 7.1.5) */
    uint8_t *out;
    size_t out_length, out_size;
    struct tail tail;
    uint64_t started_ns;
};

struct client;

/* What the rows do with a connection. All are called from client_turn. */
struct handlers {
    void *context;
    void (*greet)(void *context,
                  struct connection *connection); /* upgraded: say the first words, or set OPEN */
    void (*text)(void *context, struct connection *connection, const uint8_t *text, size_t length,
                 uint64_t now);
    void (*gone)(void *context, struct connection *connection);
};

struct client *client_new(const struct options *options, struct handlers handlers);

/* Opens all connections, a bounded number at one time, until every one is OPEN. False when one failed or
 * `deadline_ns` came; the reason is on stderr. */
bool client_open_all(struct client *client, uint64_t deadline_ns);

/* One turn: waits up to `wait_ns`, reads what came, calls the handlers, sends what they queued. */
void client_turn(struct client *client, uint64_t wait_ns);

struct connection *client_connection(struct client *client, uint32_t id);

/* Queues one masked text frame; it goes out at the end of the turn, with all others of this connection. */
void client_send(struct client *client, struct connection *connection, const uint8_t *text, size_t length);

/* Sends what was queued outside a turn. */
void client_flush(struct client *client);

/* A stalled member is not polled; waking it reads all that waits for it. */
void client_stall(struct client *client, struct connection *connection);
void client_wake(struct client *client, struct connection *connection);

/* Says goodbye on all connections (close 1000) and does not wait for the answers. */
void client_close_all(struct client *client);

uint32_t client_open_count(const struct client *client);
const struct histogram *client_handshakes(const struct client *client);
uint64_t client_bytes(const struct client *client); /* received, headers included */

#endif

/* What the connections say: the first words of a row, and its messages, never more under way than the window.
 */
#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H

#include "client.h"
#include "ledger.h"
#include "options.h"

struct traffic {
    const struct options *options;
    struct client *client;
    struct ledger *ledger;
    bool sending;        /* false: only let arrive what is under way */
    uint64_t limit;      /* messages of this phase at most, 0 = none */
    uint64_t sent;       /* messages of this phase */
    uint32_t turn;       /* rooms, fixed rate: the stream that is next */
    uint64_t due_ns;     /* fixed rate: when the next message is to go */
    uint64_t closed;     /* connections that the server closed while the row ran */
    uint16_t close_code; /* of the last of them */
};

/* Makes the ledger and the client, with the handlers that tie them to the traffic. */
void traffic_init(struct traffic *traffic, const struct options *options);

/* Begins a phase: fills the windows, or sets the clock of the fixed rate. */
void traffic_start(struct traffic *traffic, uint64_t limit);

/* One turn of the event loop, with the messages of a fixed rate that are due. */
void traffic_turn(struct traffic *traffic);

#endif

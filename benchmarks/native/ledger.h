/* Who must get what, who got it, and how long it took.
 *
 * A stream is a sequence of messages in one order: a publisher's (fan-out), a room's, or a connection's own
 * (echo). Every text carries a marker with its stream and its number, and bytes that can be compared, so a
 * message that is lost, doubled, out of order or damaged is counted as such, for each member.
 */
#ifndef BENCH_LEDGER_H
#define BENCH_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"

/* '#', 8 hexadecimal digits of the stream, 8 of the sequence number. */
enum { MARKER_LENGTH = 17 };

struct counts {
    uint64_t messages;   /* sent */
    uint64_t deliveries; /* distinct (message, member) pairs received */
    uint64_t lost;       /* pairs that never came */
    uint64_t doubled, reordered, damaged;
    uint64_t foreign; /* messages for somebody else, or without a marker */
};

struct ledger;

struct ledger *ledger_new(const struct options *options);

/* Streams, and the connection that publishes in one. */
uint32_t ledger_streams(const struct ledger *ledger);
uint32_t ledger_publisher(const struct ledger *ledger, uint32_t stream);

/* Rooms: whether a connection is a member. */
bool ledger_is_member(const struct ledger *ledger, uint32_t stream, uint32_t connection);

/* How many messages of a stream are under way, and of all streams. */
uint32_t ledger_in_flight(const struct ledger *ledger, uint32_t stream);
uint32_t ledger_all_in_flight(const struct ledger *ledger);

/* Whether the stream can have one more message under way. */
bool ledger_has_room(const struct ledger *ledger, uint32_t stream);

/* Notes that the stream's next message is sent at `sent_ns`, and returns its number. Only when
 * ledger_has_room. */
uint32_t ledger_send(struct ledger *ledger, uint32_t stream, uint64_t sent_ns);

/* Takes a received text. Returns true when this was the last member the message had to reach; its stream is
 * then in
 * `*stream`. */
bool ledger_receive(struct ledger *ledger, uint32_t connection, const uint8_t *text, size_t length,
                    uint64_t now, uint32_t *stream);

/* The bytes behind the marker: what every text is filled with. */
void ledger_fill(uint8_t *out, size_t length);

/* From here on counts and latencies are new; what is under way is not forgotten. */
void ledger_restart(struct ledger *ledger);

/* Counts since the restart. `lost` is what is missing now. */
struct counts ledger_counts(const struct ledger *ledger);

/* Latency in nanoseconds below which the given share (0 to 1) of the deliveries lies. */
uint64_t ledger_latency(const struct ledger *ledger, double share);

#endif

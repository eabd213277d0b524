#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "histogram.h"

/* What one member has of one stream. */
struct receipt {
    uint32_t next; /* the number after the highest one received */
    uint64_t seen; /* bit i: number next - 1 - i was received */
};

/* One message under way. */
struct pending {
    uint64_t sent_ns;
    uint32_t missing; /* members that do not have it yet */
};

struct stream {
    uint32_t next;
    uint32_t in_flight;
};

struct ledger {
    const struct options *options;
    uint32_t streams, members; /* members: of each stream */
    uint32_t ring;             /* messages that a stream can have under way; a power of two */
    struct stream *stream;
    struct pending *pending; /* streams x ring */
    struct receipt *receipt; /* streams x members */
    uint8_t *filler;
    size_t filler_length; /* of a text that arrives whole */
    uint32_t in_flight;
    uint64_t missing; /* pairs under way */
    struct counts counts;
    struct histogram latency;
};

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        perror("loadgen: calloc");
        exit(1);
    }
    return memory;
}

/* Members of a room stand at equal steps on the circle of connections. The step changes with each time round,
 * so that no two rooms have the same members. */
static uint32_t room_step(const struct options *o, uint32_t room)
{
    uint32_t least = o->connections / o->room_size;
    uint32_t spare = o->room_size > 1 ? (o->connections - 1) / (o->room_size - 1) - least : 0;
    return least + (room / o->connections) % (spare + 1);
}

static uint32_t ring_size(const struct options *o)
{
    if (o->mode == MODE_ROOMS)
        return 1;
    /* At a fixed rate a slow server may fall behind; the ring bounds by how much. */
    uint32_t ring = 1, least = o->rate != 0 ? 1024 : o->window;
    while (ring < least)
        ring *= 2;
    return ring;
}

struct ledger *ledger_new(const struct options *o)
{
    struct ledger *ledger = zeroed(1, sizeof *ledger);
    ledger->options = o;
    ledger->streams = o->mode == MODE_FANOUT  ? o->publishers
                      : o->mode == MODE_ROOMS ? o->rooms
                                              : o->connections;
    ledger->members = o->mode == MODE_FANOUT  ? o->connections - o->stalled
                      : o->mode == MODE_ROOMS ? o->room_size
                                              : 1;
    ledger->ring = ring_size(o);
    ledger->stream = zeroed(ledger->streams, sizeof *ledger->stream);
    ledger->pending = zeroed((size_t)ledger->streams * ledger->ring, sizeof *ledger->pending);
    ledger->receipt = zeroed((size_t)ledger->streams * ledger->members, sizeof *ledger->receipt);
    ledger->filler_length = o->size - MARKER_LENGTH - strlen(o->prefix) - strlen(o->suffix);
    ledger->filler = zeroed(ledger->filler_length + 1, 1);
    ledger_fill(ledger->filler, ledger->filler_length);
    return ledger;
}

void ledger_fill(uint8_t *out, size_t length)
{
    /* 26 letters in turn: a piece that is missing or moved shows. */
    for (size_t i = 0; i < length; i++)
        out[i] = (uint8_t)('a' + i % 26);
}

uint32_t ledger_streams(const struct ledger *ledger)
{
    return ledger->streams;
}

uint32_t ledger_publisher(const struct ledger *ledger, uint32_t stream)
{
    return stream % ledger->options->connections;
}

/* The connection's place among the stream's members, or `members` when it is none. */
static uint32_t member_index(const struct ledger *ledger, uint32_t stream, uint32_t connection)
{
    const struct options *o = ledger->options;
    if (o->mode == MODE_FANOUT)
        return connection < ledger->members ? connection : ledger->members;
    if (o->mode == MODE_ECHO)
        return connection == stream ? 0 : ledger->members;
    uint32_t step = room_step(o, stream);
    uint32_t distance = (connection + o->connections - stream % o->connections) % o->connections;
    bool member = distance % step == 0 && distance / step < ledger->members;
    return member ? distance / step : ledger->members;
}

bool ledger_is_member(const struct ledger *ledger, uint32_t stream, uint32_t connection)
{
    return member_index(ledger, stream, connection) < ledger->members;
}

uint32_t ledger_in_flight(const struct ledger *ledger, uint32_t stream)
{
    return ledger->stream[stream].in_flight;
}
uint32_t ledger_all_in_flight(const struct ledger *ledger)
{
    return ledger->in_flight;
}

static struct pending *pending_of(const struct ledger *ledger, uint32_t stream, uint32_t sequence)
{
    return &ledger->pending[(size_t)stream * ledger->ring + (sequence & (ledger->ring - 1))];
}

bool ledger_has_room(const struct ledger *ledger, uint32_t stream)
{
    return pending_of(ledger, stream, ledger->stream[stream].next)->missing == 0;
}

uint32_t ledger_send(struct ledger *ledger, uint32_t stream, uint64_t sent_ns)
{
    uint32_t sequence = ledger->stream[stream].next++;
    *pending_of(ledger, stream, sequence) = (struct pending){.sent_ns = sent_ns, .missing = ledger->members};
    ledger->stream[stream].in_flight++;
    ledger->in_flight++;
    ledger->missing += ledger->members;
    ledger->counts.messages++;
    return sequence;
}

static bool hexadecimal(const uint8_t *text, uint32_t *value)
{
    uint32_t result = 0;
    for (int i = 0; i < 8; i++) {
        uint8_t c = text[i];
        uint32_t digit = c >= '0' && c <= '9' ? c - 48u : c >= 'a' && c <= 'f' ? c - 'a' + 10u : 16u;
        if (digit == 16)
            return false;
        result = result << 4 | digit;
    }
    *value = result;
    return true;
}

/* True when the member had not got this number yet. */
static bool note_receipt(struct ledger *ledger, struct receipt *receipt, uint32_t sequence)
{
    if (sequence == receipt->next) {
        receipt->next++;
        receipt->seen = receipt->seen << 1 | 1;
        return true;
    }
    if (sequence > receipt->next) {
        /* A gap: what is missing is either lost, which the end will show, or comes late, which the branch
         * below sees. */
        uint32_t jump = sequence + 1 - receipt->next;
        receipt->seen = (jump < 64 ? receipt->seen << jump : 0) | 1;
        receipt->next = sequence + 1;
        return true;
    }
    uint32_t age = receipt->next - 1 - sequence;
    if (age >= 64 || (receipt->seen >> age & 1) != 0) {
        ledger->counts.doubled++;
        return false;
    }
    receipt->seen |= (uint64_t)1 << age;
    ledger->counts.reordered++;
    return true;
}

bool ledger_receive(struct ledger *ledger, uint32_t connection, const uint8_t *text, size_t length,
                    uint64_t now, uint32_t *stream)
{
    const uint8_t *marker = memchr(text, '#', length);
    size_t rest = marker != NULL ? length - (size_t)(marker - text) : 0;
    uint32_t id, sequence, member = ledger->members;
    if (rest >= MARKER_LENGTH && hexadecimal(marker + 1, &id) && hexadecimal(marker + 9, &sequence) &&
        id < ledger->streams && sequence < ledger->stream[id].next)
        member = member_index(ledger, id, connection);
    if (member == ledger->members) {
        ledger->counts.foreign++;
        return false;
    }
    if (rest < MARKER_LENGTH + ledger->filler_length ||
        memcmp(marker + MARKER_LENGTH, ledger->filler, ledger->filler_length) != 0)
        ledger->counts.damaged++;
    struct receipt *receipt = &ledger->receipt[(size_t)id * ledger->members + member];
    struct pending *pending = pending_of(ledger, id, sequence);
    if (!note_receipt(ledger, receipt, sequence) || pending->missing == 0)
        return false;
    histogram_add(&ledger->latency, now - pending->sent_ns);
    ledger->counts.deliveries++;
    ledger->missing--;
    if (--pending->missing != 0)
        return false;
    ledger->stream[id].in_flight--;
    ledger->in_flight--;
    *stream = id;
    return true;
}

void ledger_restart(struct ledger *ledger)
{
    ledger->counts = (struct counts){0};
    histogram_clear(&ledger->latency);
}

struct counts ledger_counts(const struct ledger *ledger)
{
    struct counts counts = ledger->counts;
    counts.lost = ledger->missing;
    return counts;
}

uint64_t ledger_latency(const struct ledger *ledger, double share)
{
    return histogram_at(&ledger->latency, share);
}

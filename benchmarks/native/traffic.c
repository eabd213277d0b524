#include "traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

enum { TURN_NS = 20000000, TEXT_MAX = (1 << 20) + 4096 };

static uint8_t text[TEXT_MAX];

/* ---- first words ---- */

static void say_join(struct traffic *traffic, struct connection *connection)
{
    size_t length = 4;
    memcpy(text, "join", 4);
    for (uint32_t room = 0; room < traffic->options->rooms; room++)
        if (ledger_is_member(traffic->ledger, room, connection->id) && length + 16 < sizeof text)
            length += (size_t)sprintf((char *)text + length, " r%u", room);
    client_send(traffic->client, connection, text, length);
}

static void say(struct traffic *traffic, struct connection *connection, const char *words)
{
    client_send(traffic->client, connection, (const uint8_t *)words, strlen(words));
}

/* The connection is upgraded. In rooms it opens when the server has answered "joined", with Socket.IO when it
 * has answered the CONNECT packet, with Centrifuge when it has answered `connect` and `subscribe`, else at
 * once. */
static void on_greet(void *context, struct connection *connection)
{
    struct traffic *traffic = context;
    if (traffic->options->socketio)
        return;
    if (traffic->options->centrifuge)
        say(traffic, connection, "{\"id\":1,\"connect\":{}}");
    else if (traffic->options->mode == MODE_ROOMS)
        say_join(traffic, connection);
    else
        connection->phase = OPEN;
}

/* Engine.IO 4 opens with a packet "0", Socket.IO 5 connects with "40", and the server pings with "2". */
static void on_socketio_packet(struct traffic *traffic, struct connection *connection, const uint8_t *packet,
                               size_t length)
{
    if (length >= 1 && packet[0] == '0')
        client_send(traffic->client, connection, (const uint8_t *)"40", 2);
    else if (length >= 2 && packet[0] == '4' && packet[1] == '0')
        connection->phase = OPEN;
    else if (length == 1 && packet[0] == '2')
        client_send(traffic->client, connection, (const uint8_t *)"3", 1);
}

static bool begins(const uint8_t *line, size_t length, const char *words)
{
    size_t most = strlen(words);
    return length >= most && memcmp(line, words, most) == 0;
}

/* Replies to the first words, and the server's ping "{}". False for anything else. */
static bool on_centrifuge_word(struct traffic *traffic, struct connection *connection, const uint8_t *line,
                               size_t length)
{
    if (length == 2 && begins(line, length, "{}"))
        say(traffic, connection, "{}");
    else if (begins(line, length, "{\"id\":1,\"connect\":"))
        say(traffic, connection, "{\"id\":2,\"subscribe\":{\"channel\":\"" CENTRIFUGE_ROOM "\"}}");
    else if (begins(line, length, "{\"id\":2,\"subscribe\":"))
        connection->phase = OPEN;
    else
        return false;
    return true;
}

/* ---- messages ---- */

static void send_next(struct traffic *traffic, uint32_t stream, uint64_t at_ns)
{
    const struct options *o = traffic->options;
    size_t length = 0, prefix = strlen(o->prefix), suffix = strlen(o->suffix);
    if (o->mode == MODE_ROOMS)
        length = (size_t)sprintf((char *)text, "pub r%u ", stream);
    size_t end = length + o->size;
    uint32_t sequence = ledger_send(traffic->ledger, stream, at_ns);
    memcpy(text + length, o->prefix, prefix);
    length += prefix;
    length += (size_t)sprintf((char *)text + length, "#%08x%08x", stream, sequence);
    ledger_fill(text + length, end - suffix - length);
    memcpy(text + end - suffix, o->suffix, suffix);
    client_send(traffic->client,
                client_connection(traffic->client, ledger_publisher(traffic->ledger, stream)), text, end);
    traffic->sent++;
}

static bool may_send(const struct traffic *traffic, uint32_t stream)
{
    return traffic->sending && (traffic->limit == 0 || traffic->sent < traffic->limit) &&
           ledger_has_room(traffic->ledger, stream);
}

/* A stream (fan-out, echo) sends its window as one burst, and the next when all of it has arrived everywhere:
 * a window that slides would let chance decide how many messages a server finds together. Rooms share one
 * window that slides, for there each message has another publisher anyway. */
static void fill(struct traffic *traffic, uint32_t stream, uint64_t now)
{
    const struct options *o = traffic->options;
    if (o->rate != 0)
        return;
    if (o->mode == MODE_ROOMS) {
        while (ledger_all_in_flight(traffic->ledger) < o->window && may_send(traffic, traffic->turn)) {
            send_next(traffic, traffic->turn, now);
            traffic->turn = (traffic->turn + 1) % ledger_streams(traffic->ledger);
        }
    } else if (ledger_in_flight(traffic->ledger, stream) == 0) {
        for (uint32_t i = 0; i < o->window && may_send(traffic, stream); i++)
            send_next(traffic, stream, now);
    }
}

static void receive(struct traffic *traffic, struct connection *connection, const uint8_t *data,
                    size_t length, uint64_t now)
{
    uint32_t stream;
    if (ledger_receive(traffic->ledger, connection->id, data, length, now, &stream))
        fill(traffic, stream, now);
}

/* One message has several lines when the server answers several commands at once. */
static void on_centrifuge(struct traffic *traffic, struct connection *connection, const uint8_t *data,
                          size_t length, uint64_t now)
{
    const uint8_t *end = data + length;
    while (data < end) {
        const uint8_t *newline = memchr(data, '\n', (size_t)(end - data));
        size_t line = (size_t)((newline != NULL ? newline : end) - data);
        /* A publisher gets a reply to each publication besides the publication itself. */
        if (!on_centrifuge_word(traffic, connection, data, line) &&
            !begins(data, line, "{\"id\":" CENTRIFUGE_PUBLISH_ID ",\"publish\":{"))
            receive(traffic, connection, data, line, now);
        data += line + 1;
    }
}

static void on_text(void *context, struct connection *connection, const uint8_t *data, size_t length,
                    uint64_t now)
{
    struct traffic *traffic = context;
    if (traffic->options->centrifuge) {
        on_centrifuge(traffic, connection, data, length, now);
    } else if (connection->phase == GREETING && !traffic->options->socketio) {
        if (length == 6 && memcmp(data, "joined", 6) == 0)
            connection->phase = OPEN;
    } else if (traffic->options->socketio && (length < 2 || data[0] != '4' || data[1] != '2')) {
        on_socketio_packet(traffic, connection, data, length);
    } else {
        receive(traffic, connection, data, length, now);
    }
}

static void on_gone(void *context, struct connection *connection)
{
    struct traffic *traffic = context;
    traffic->closed++;
    traffic->close_code = connection->close_code;
}

/* A message that could not go in time counts from the time it should have gone: a server that is behind must
 * not look better by slowing its publisher down. */
static void send_due(struct traffic *traffic)
{
    uint64_t now = now_ns(), period = 1000000000u / traffic->options->rate;
    while (traffic->due_ns <= now && may_send(traffic, traffic->turn)) {
        send_next(traffic, traffic->turn, traffic->due_ns);
        traffic->turn = (traffic->turn + 1) % ledger_streams(traffic->ledger);
        traffic->due_ns += period;
    }
}

void traffic_init(struct traffic *traffic, const struct options *options)
{
    struct handlers handlers = {.context = traffic, .greet = on_greet, .text = on_text, .gone = on_gone};
    *traffic = (struct traffic){.options = options};
    traffic->ledger = ledger_new(options);
    traffic->client = client_new(options, handlers);
}

void traffic_start(struct traffic *traffic, uint64_t limit)
{
    uint64_t now = now_ns();
    traffic->sending = true;
    traffic->limit = limit;
    traffic->sent = 0;
    traffic->due_ns = now;
    bool common = traffic->options->mode == MODE_ROOMS;
    for (uint32_t stream = 0; stream < (common ? 1 : ledger_streams(traffic->ledger)); stream++)
        fill(traffic, stream, now);
    client_flush(traffic->client);
}

void traffic_turn(struct traffic *traffic)
{
    uint64_t wait = TURN_NS;
    if (traffic->options->rate != 0 && traffic->sending) {
        send_due(traffic);
        client_flush(traffic->client);
        uint64_t now = now_ns();
        uint64_t left = traffic->due_ns > now ? traffic->due_ns - now : 0;
        /* Overdue, because the ring is full: what arrives makes room, so wait for that. */
        if (left != 0 && left < wait)
            wait = left;
    }
    client_turn(traffic->client, wait);
}

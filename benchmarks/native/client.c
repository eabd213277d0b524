#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "upgrade.h"
#include "wire.h"

enum { EVENTS = 1024, STALLED_RECEIVE_BUFFER = 4096 };

struct client {
    const struct options *options;
    struct handlers handlers;
    int poller;
    struct connection *connections;
    struct connection **dirty;
    uint32_t dirty_count, started, opened, gone; /* gone: of the opened */
    uint32_t failed;                             /* never opened */
    uint16_t close_code;                         /* of the last that is gone */
    uint64_t bytes;
    uint64_t random; /* state of xorshift64: masks and keys need no secrecy here, only variety */
    struct histogram handshakes;
};

static uint64_t next_random(struct client *client)
{
    client->random ^= client->random << 13;
    client->random ^= client->random >> 7;
    client->random ^= client->random << 17;
    return client->random;
}

struct client *client_new(const struct options *options, struct handlers handlers)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        exit(1);
    client->options = options;
    client->handlers = handlers;
    client->poller = epoll_create1(EPOLL_CLOEXEC);
    client->connections = calloc(options->connections, sizeof *client->connections);
    client->dirty = calloc(options->connections, sizeof(struct connection *));
    client->random = now_ns() | 1;
    if (client->poller < 0 || client->connections == NULL || client->dirty == NULL) {
        perror("loadgen: client_new");
        exit(1);
    }
    return client;
}

struct connection *client_connection(struct client *client, uint32_t id)
{
    return &client->connections[id];
}
uint32_t client_open_count(const struct client *client)
{
    return client->opened - client->gone;
}
const struct histogram *client_handshakes(const struct client *client)
{
    return &client->handshakes;
}
uint64_t client_bytes(const struct client *client)
{
    return client->bytes;
}

/* ---- sending ---- */

/* Edge-triggered: the kernel does not look again at sockets that were just emptied, a tenth of the cost of a
 * delivery. */
static void poll_for(struct client *client, struct connection *connection, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events | EPOLLET, .data.ptr = connection};
    epoll_ctl(client->poller, operation, connection->fd, &event);
}

static uint8_t *reserve(struct client *client, struct connection *connection, size_t length)
{
    if (connection->out_length + length > connection->out_size) {
        connection->out_size = 2 * (connection->out_length + length);
        connection->out = realloc(connection->out, connection->out_size);
        if (connection->out == NULL) {
            perror("loadgen: realloc");
            exit(1);
        }
    }
    if (!connection->dirty) {
        connection->dirty = true;
        client->dirty[client->dirty_count++] = connection;
    }
    return connection->out + connection->out_length;
}

static void queue_frame(struct client *client, struct connection *connection, uint8_t opcode,
                        const uint8_t *payload, size_t length)
{
    if (connection->phase == GONE)
        return;
    uint64_t random = next_random(client);
    uint8_t mask[4];
    memcpy(mask, &random, 4);
    uint8_t *out = reserve(client, connection, length + HEADER_MAX);
    size_t header = frame_header(out, opcode, length, mask);
    frame_mask(out + header, payload, length, mask);
    connection->out_length += header + length;
}

void client_send(struct client *client, struct connection *connection, const uint8_t *text, size_t length)
{
    queue_frame(client, connection, OP_TEXT, text, length);
}

static void drop(struct client *client, struct connection *connection)
{
    if (connection->phase == GONE)
        return;
    if (connection->phase == OPEN)
        client->gone++;
    else
        client->failed++;
    connection->phase = GONE;
    if (connection->close_code == 0)
        connection->close_code = 1006;
    client->close_code = connection->close_code;
    close(connection->fd);
    connection->out_length = 0;
    client->handlers.gone(client->handlers.context, connection);
}

static void flush_one(struct client *client, struct connection *connection)
{
    if (connection->phase == GONE || connection->phase == CONNECTING || connection->out_length == 0)
        return;
    ssize_t sent = send(connection->fd, connection->out, connection->out_length, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        drop(client, connection);
        return;
    }
    size_t left = connection->out_length - (sent > 0 ? (size_t)sent : 0);
    if (left != 0 && sent > 0)
        memmove(connection->out, connection->out + sent, left);
    connection->out_length = left;
    if ((left != 0) != connection->wants_write) {
        connection->wants_write = left != 0;
        poll_for(client, connection, EPOLL_CTL_MOD, left != 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

void client_flush(struct client *client)
{
    for (uint32_t i = 0; i < client->dirty_count; i++) {
        client->dirty[i]->dirty = false;
        flush_one(client, client->dirty[i]);
    }
    client->dirty_count = 0;
}

/* ---- opening ---- */

static void start_connecting(struct client *client, struct connection *connection, uint32_t id)
{
    const struct options *o = client->options;
    *connection = (struct connection){.id = id, .started_ns = now_ns()};
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) {
        perror("loadgen: socket");
        exit(1);
    }
    int on = 1, small = STALLED_RECEIVE_BUFFER;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    /* A member that never reads shows its effect sooner when its kernel takes less in its place. */
    if (id >= o->connections - o->stalled)
        setsockopt(connection->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
    inet_pton(AF_INET, o->host, &at.sin_addr);
    poll_for(client, connection, EPOLL_CTL_ADD, EPOLLOUT);
    if (connect(connection->fd, (struct sockaddr *)&at, sizeof at) != 0 && errno != EINPROGRESS)
        drop(client, connection);
}

static void send_upgrade(struct client *client, struct connection *connection)
{
    char request[UPGRADE_MAX];
    size_t length = upgrade_request(client->options, connection->id, request);
    connection->phase = UPGRADING;
    poll_for(client, connection, EPOLL_CTL_MOD, EPOLLIN);
    memcpy(reserve(client, connection, length), request, length);
    connection->out_length += length;
}

static void on_connected(struct client *client, struct connection *connection)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        fprintf(stderr, "loadgen: connect: %s\n", strerror(error));
        drop(client, connection);
        return;
    }
    send_upgrade(client, connection);
}

/* ---- receiving ---- */

/* False when the connection is over. */
static bool take_frame(struct client *client, struct connection *connection, const struct frame *frame,
                       const uint8_t *payload, uint64_t now)
{
    switch (frame->opcode) {
    case OP_TEXT:
    case OP_BINARY:
        client->handlers.text(client->handlers.context, connection, payload, frame->length, now);
        return connection->phase != GONE;
    case OP_PING: queue_frame(client, connection, OP_PONG, payload, frame->length); return true;
    case OP_CLOSE:
        connection->close_code = frame->length >= 2 ? (uint16_t)(payload[0] << 8 | payload[1]) : 1005;
        return false;
    default: return frame->opcode == OP_PONG;
    }
}

/* Takes all whole frames. Returns the bytes used, -1 when the connection is over. No server of ours
 * fragments, so a fragment ends the run: the load generator must not miscount it. */
static ssize_t take_frames(struct client *client, struct connection *connection, const uint8_t *data,
                           size_t length)
{
    uint64_t now = now_ns();
    size_t used = 0;
    struct frame frame;
    while (used < length) {
        enum parse state = frame_parse(data + used, length - used, &frame);
        if (state == PARSE_MORE || (state == PARSE_OK && length - used < frame.header + frame.length))
            break;
        if (state == PARSE_BAD || frame.masked || !frame.fin || frame.opcode == OP_CONTINUATION) {
            fprintf(stderr, "loadgen: a frame that is masked, fragmented or broken\n");
            return -1;
        }
        if (!take_frame(client, connection, &frame, data + used + frame.header, now))
            return -1;
        used += frame.header + frame.length;
    }
    return (ssize_t)used;
}

/* True when more may wait to be read. */
static bool read_once(struct client *client, struct connection *connection)
{
    uint8_t *data;
    size_t kept = connection->tail.length;
    ssize_t length = reader_fill(connection->fd, &connection->tail, &data), used = 0;
    if (length == -1)
        return false;
    if (length > 0)
        client->bytes += (uint64_t)length - kept;
    if (length > 0 && connection->phase == UPGRADING) {
        used = upgrade_check(connection->id, data, (size_t)length);
        if (used > 0) {
            histogram_add(&client->handshakes, now_ns() - connection->started_ns);
            connection->phase = GREETING;
            client->handlers.greet(client->handlers.context, connection);
        }
    }
    if (length > 0 && used >= 0 && connection->phase > UPGRADING) {
        ssize_t taken = take_frames(client, connection, data + used, (size_t)(length - used));
        used = taken < 0 ? -1 : used + taken;
    }
    if (length <= 0 || used < 0) {
        drop(client, connection);
        return false;
    }
    reader_keep(&connection->tail, data + used, (size_t)(length - used));
    return (size_t)length - kept == READ_MOST;
}

static void on_event(struct client *client, struct connection *connection, uint32_t events)
{
    enum phase before = connection->phase;
    if (before == CONNECTING)
        on_connected(client, connection);
    else if (before != GONE && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        while (read_once(client, connection))
            continue;
    if (connection->phase != GONE && (events & EPOLLOUT) != 0)
        flush_one(client, connection);
    if (before != OPEN && connection->phase == OPEN)
        client->opened++;
}

void client_turn(struct client *client, uint64_t wait_ns)
{
    struct epoll_event events[EVENTS];
    if (client->options->spin)
        wait_ns = 0;
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / 1000000000u),
                            .tv_nsec = (long)(wait_ns % 1000000000u)};
    int count = epoll_pwait2(client->poller, events, EVENTS, &wait, NULL);
    for (int i = 0; i < count; i++)
        on_event(client, events[i].data.ptr, events[i].events);
    client_flush(client);
}

bool client_open_all(struct client *client, uint64_t deadline_ns)
{
    const struct options *o = client->options;
    while (client->opened < o->connections) {
        while (client->started < o->connections && client->started - client->opened < o->opening) {
            start_connecting(client, &client->connections[client->started], client->started);
            client->started++;
        }
        client_turn(client, 100000000);
        if (client->failed + client->gone != 0 || now_ns() > deadline_ns) {
            fprintf(stderr,
                    "loadgen: %u of %u connections opened; %u refused, %u closed again (close code %u)\n",
                    client->opened, o->connections, client->failed, client->gone, client->close_code);
            return false;
        }
    }
    return true;
}

/* ---- stalling and closing ---- */

void client_stall(struct client *client, struct connection *connection)
{
    poll_for(client, connection, EPOLL_CTL_DEL, 0);
}

void client_wake(struct client *client, struct connection *connection)
{
    if (connection->phase == GONE)
        return;
    int wide = 1 << 20; /* see STALLED_RECEIVE_BUFFER: what waits for it is to come quickly now */
    setsockopt(connection->fd, SOL_SOCKET, SO_RCVBUF, &wide, sizeof wide);
    poll_for(client, connection, EPOLL_CTL_ADD, EPOLLIN);
}

void client_close_all(struct client *client)
{
    static const uint8_t normal[2] = {1000 >> 8, 1000 & 255};
    for (uint32_t i = 0; i < client->started; i++)
        queue_frame(client, &client->connections[i], OP_CLOSE, normal, sizeof normal);
    client_flush(client);
    for (uint32_t i = 0; i < client->started; i++)
        if (client->connections[i].phase != GONE)
            close(client->connections[i].fd);
}

/* The floor: what a fan-out costs when a server does nothing but call write() once for each member.
 *
 * It accepts WebSocket handshakes, and sends every text frame that arrives to every connection. What arrived
 * in one epoll turn goes out as one write() per member, so a burst of 64 messages is one system call per
 * member. On /echo a frame goes back to its sender only. It has no rooms, no backlog and no pings: a member
 * that cannot take a write at once is closed. No real server can be below it; the distance to it is what a
 * server adds.
 *
 * Usage: floor PORT SECONDS     (127.0.0.1 only; ends by itself after SECONDS)
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reader.h"
#include "wire.h"

enum { MEMBERS_MAX = 20000, BATCH_MAX = 4 << 20 };

struct member {
    int fd;
    bool open; /* the handshake is done */
    bool echo;
    uint32_t slot; /* its place in `members`, so that leaving costs nothing */
    struct tail tail;
};

/* What one epoll turn has to send. */
struct batch {
    uint8_t data[BATCH_MAX];
    size_t length;
};

static struct member *members[MEMBERS_MAX];
static uint32_t member_count;
static struct batch room_batch, echo_batch;

static void leave(struct member *member)
{
    members[member->slot] = members[--member_count];
    members[member->slot]->slot = member->slot;
    close(member->fd);
    free(member->tail.data);
    free(member);
}

/* False when the peer must be dropped: here a short write is an error, for no row may reach it. */
static bool write_all(int fd, const uint8_t *data, size_t length)
{
    return length == 0 || write(fd, data, length) == (ssize_t)length;
}

static void accept_all(int listener, int poller)
{
    int fd;
    while (member_count < MEMBERS_MAX &&
           (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct member *member = calloc(1, sizeof *member);
        if (member == NULL)
            exit(1);
        member->fd = fd;
        member->slot = member_count;
        members[member_count++] = member;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = member};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

/* Answers the upgrade. Returns the bytes used, 0 when the head is not complete, -1 when it is no WebSocket.
 */
static ssize_t upgrade(struct member *member, const uint8_t *data, size_t length)
{
    const char *head = (const char *)data;
    const char *end = memmem(head, length, "\r\n\r\n", 4);
    if (end == NULL)
        return length > 16384 ? -1 : 0;
    size_t head_length = (size_t)(end - head) + 4, key_length;
    const char *key = http_header(head, head_length, "sec-websocket-key", &key_length);
    if (key == NULL)
        return -1;
    char accept[ACCEPT_SIZE], answer[256];
    handshake_accept(key, key_length, accept);
    int size = snprintf(answer, sizeof answer,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: %s\r\n\r\n",
                        accept);
    member->open = true;
    member->echo = strncmp(head, "GET /echo", 9) == 0;
    return write_all(member->fd, (const uint8_t *)answer, (size_t)size) ? (ssize_t)head_length : -1;
}

/* Turns a client's text frame into a server's, at the end of the batch. */
static bool batch_add(struct batch *batch, const uint8_t *payload, const struct frame *frame)
{
    if (batch->length + frame->length + HEADER_MAX > BATCH_MAX)
        return false;
    uint8_t *out = batch->data + batch->length;
    size_t header = frame_header(out, frame->opcode, frame->length, NULL);
    frame_mask(out + header, payload, frame->length, frame->mask);
    batch->length += header + frame->length;
    return true;
}

/* Takes all whole frames from the bytes. Returns the bytes used, -1 when the member is to be dropped. */
static ssize_t take_frames(struct member *member, const uint8_t *data, size_t length)
{
    size_t used = 0;
    struct frame frame;
    while (used < length) {
        enum parse state = frame_parse(data + used, length - used, &frame);
        if (state == PARSE_BAD || (state == PARSE_OK && frame.opcode == OP_CLOSE))
            return -1;
        if (state == PARSE_MORE || length - used < frame.header + frame.length)
            break;
        struct batch *batch = member->echo ? &echo_batch : &room_batch;
        if (frame.opcode == OP_TEXT && !batch_add(batch, data + used + frame.header, &frame))
            return -1;
        used += frame.header + frame.length;
    }
    return (ssize_t)used;
}

static bool on_readable(struct member *member)
{
    uint8_t *data;
    ssize_t length = reader_fill(member->fd, &member->tail, &data);
    if (length == -1)
        return true;
    if (length <= 0)
        return false;
    ssize_t used = 0;
    if (!member->open) {
        used = upgrade(member, data, (size_t)length);
        if (used < 0)
            return false;
    }
    if (member->open) {
        ssize_t taken = take_frames(member, data + used, (size_t)(length - used));
        if (taken < 0)
            return false;
        used += taken;
    }
    bool well = write_all(member->fd, echo_batch.data, echo_batch.length);
    echo_batch.length = 0;
    reader_keep(&member->tail, data + used, (size_t)(length - used));
    return well;
}

static void flush_room(void)
{
    if (room_batch.length == 0)
        return;
    for (uint32_t i = 0; i < member_count;) {
        struct member *member = members[i];
        /* leave() puts another member at this place: look at it again. */
        if (member->open && !write_all(member->fd, room_batch.data, room_batch.length))
            leave(member);
        else
            i++;
    }
    room_batch.length = 0;
}

static int listen_on(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 1024) != 0) {
        perror("floor: listen");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 3 || atoi(argv[1]) <= 0 || atoi(argv[2]) <= 0) {
        fprintf(stderr, "usage: floor PORT SECONDS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    alarm((unsigned)atoi(argv[2]));
    int poller = epoll_create1(EPOLL_CLOEXEC), listener = listen_on((uint16_t)atoi(argv[1]));
    struct epoll_event events[512], event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(poller, events, 512, -1);
        if (count < 0 && errno != EINTR)
            return 1;
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                accept_all(listener, poller);
            else if (!on_readable(events[i].data.ptr))
                leave(events[i].data.ptr);
        }
        flush_room();
    }
}

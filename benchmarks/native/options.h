/* What one run of the load generator does, as its command line says. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Where members of a Centrifuge fan-out are, and where its publishers publish (by --prefix, with the id). */
#define CENTRIFUGE_ROOM "bench"
#define CENTRIFUGE_PUBLISH_ID "3"

enum mode {
    MODE_FANOUT, /* what a publisher sends comes back to every connection */
    MODE_ROOMS,  /* `join ROOM ...` first, then `pub ROOM TEXT` reaches the members of that room */
    MODE_ECHO,   /* what a connection sends comes back to it alone */
    MODE_IDLE    /* connect, say so, hold */
};

struct options {
    enum mode mode;
    const char *host; /* a loopback address, nothing else */
    uint32_t port;
    const char *path;
    uint32_t connections;
    uint32_t opening;    /* handshakes under way at one time */
    uint32_t publishers; /* fan-out: the first connections publish */
    uint32_t stalled;    /* fan-out: the last connections never read */
    uint32_t window;     /* messages in flight: a publisher's burst (fan-out, echo), or of all rooms */
    uint32_t size;       /* bytes of a published text */
    uint32_t rooms, room_size;
    uint32_t rate;     /* messages per second from all publishers, 0 = as fast as the window allows */
    uint32_t messages; /* messages of the measured phase at most, 0 = no limit but time */
    double warmup, seconds, stuck, timeout; /* all in seconds */
    const char *prefix, *suffix; /* around the marker: makes the text JSON, or an event of Socket.IO */
    bool socketio;               /* speak Engine.IO 4 and Socket.IO 5 around the messages */
    bool centrifuge;             /* speak the Centrifuge protocol in JSON; the room is CENTRIFUGE_ROOM */
    bool wait;                   /* print "ready", go on when a line arrives on stdin */
    bool spin;                   /* never sleep in epoll_wait */
};

/* Reads the command line. Prints what is wrong and exits with 2 when something is. */
void options_parse(struct options *options, int argc, char **argv);

#endif

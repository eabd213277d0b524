#include "options.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.h"

enum option_code {
    OPT_MODE = 1,
    OPT_HOST,
    OPT_PORT,
    OPT_PATH,
    OPT_CONNECTIONS,
    OPT_OPENING,
    OPT_PUBLISHERS,
    OPT_STALLED,
    OPT_WINDOW,
    OPT_SIZE,
    OPT_ROOMS,
    OPT_ROOM_SIZE,
    OPT_RATE,
    OPT_MESSAGES,
    OPT_WARMUP,
    OPT_SECONDS,
    OPT_STUCK,
    OPT_TIMEOUT,
    OPT_PREFIX,
    OPT_SUFFIX,
    OPT_SOCKETIO,
    OPT_CENTRIFUGE,
    OPT_WAIT,
    OPT_SPIN,
};

static const struct option known[] = {
    {"mode", required_argument, NULL, OPT_MODE},
    {"host", required_argument, NULL, OPT_HOST},
    {"port", required_argument, NULL, OPT_PORT},
    {"path", required_argument, NULL, OPT_PATH},
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"opening", required_argument, NULL, OPT_OPENING},
    {"publishers", required_argument, NULL, OPT_PUBLISHERS},
    {"stalled", required_argument, NULL, OPT_STALLED},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"size", required_argument, NULL, OPT_SIZE},
    {"rooms", required_argument, NULL, OPT_ROOMS},
    {"room-size", required_argument, NULL, OPT_ROOM_SIZE},
    {"rate", required_argument, NULL, OPT_RATE},
    {"messages", required_argument, NULL, OPT_MESSAGES},
    {"warmup", required_argument, NULL, OPT_WARMUP},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"stuck", required_argument, NULL, OPT_STUCK},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"prefix", required_argument, NULL, OPT_PREFIX},
    {"suffix", required_argument, NULL, OPT_SUFFIX},
    {"socketio", no_argument, NULL, OPT_SOCKETIO},
    {"centrifuge", no_argument, NULL, OPT_CENTRIFUGE},
    {"wait", no_argument, NULL, OPT_WAIT},
    {"spin", no_argument, NULL, OPT_SPIN},
    {NULL, 0, NULL, 0},
};

static void refuse(const char *what)
{
    fprintf(stderr, "loadgen: %s\n", what);
    exit(2);
}

static uint32_t whole(const char *text, const char *name, uint32_t least, uint32_t most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < least || value > most) {
        fprintf(stderr, "loadgen: --%s must be between %u and %u, not %s\n", name, least, most, text);
        exit(2);
    }
    return (uint32_t)value;
}

static double seconds(const char *text, const char *name)
{
    char *end;
    double value = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(value >= 0 && value <= 3600)) {
        fprintf(stderr, "loadgen: --%s must be between 0 and 3600 seconds, not %s\n", name, text);
        exit(2);
    }
    return value;
}

static enum mode mode_named(const char *name)
{
    static const char *const names[] = {"fanout", "rooms", "echo", "idle"};
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum mode)i;
    refuse("--mode is fanout, rooms, echo or idle");
    return MODE_IDLE;
}

/* A load generator is a weapon when it is pointed elsewhere. */
static void require_loopback(const char *host)
{
    struct in_addr address;
    if (inet_pton(AF_INET, host, &address) != 1 || ntohl(address.s_addr) >> 24 != 127)
        refuse("only loopback addresses (127.0.0.0/8)");
}

static void check(const struct options *o)
{
    require_loopback(o->host);
    if (o->port == 0)
        refuse("--port is missing");
    if (o->publishers + o->stalled > o->connections)
        refuse("publishers and stalled members are more than there are connections");
    if (o->stalled != 0 && o->mode != MODE_FANOUT)
        refuse("--stalled goes with --mode fanout");
    if (o->size < MARKER_LENGTH + strlen(o->prefix) + strlen(o->suffix))
        refuse("--size has no room for the marker");
    if (o->mode == MODE_ROOMS && (o->room_size > o->connections || o->window > o->rooms))
        refuse("a room has more members than there are connections, or the window is wider than the rooms "
               "are many");
    if (o->centrifuge && (o->socketio || o->mode == MODE_ROOMS || o->mode == MODE_ECHO))
        refuse("--centrifuge goes with --mode fanout or idle, and without --socketio");
    if (o->rate != 0 && o->mode != MODE_FANOUT)
        refuse("--rate goes with --mode fanout");
}

static void apply(struct options *o, enum option_code code, const char *name, const char *value)
{
    switch (code) {
    case OPT_MODE: o->mode = mode_named(value); break;
    case OPT_HOST: o->host = value; break;
    case OPT_PORT: o->port = whole(value, name, 1, 65535); break;
    case OPT_PATH: o->path = value; break;
    case OPT_CONNECTIONS: o->connections = whole(value, name, 1, 20000); break;
    case OPT_OPENING: o->opening = whole(value, name, 1, 1000); break;
    case OPT_PUBLISHERS: o->publishers = whole(value, name, 1, 1000); break;
    case OPT_STALLED: o->stalled = whole(value, name, 0, 1000); break;
    case OPT_WINDOW: o->window = whole(value, name, 1, 4096); break;
    case OPT_SIZE: o->size = whole(value, name, 1, 1u << 20); break;
    case OPT_ROOMS: o->rooms = whole(value, name, 1, 100000); break;
    case OPT_ROOM_SIZE: o->room_size = whole(value, name, 1, 1000); break;
    case OPT_RATE: o->rate = whole(value, name, 0, 100000); break;
    case OPT_MESSAGES: o->messages = whole(value, name, 0, 100000000); break;
    case OPT_WARMUP: o->warmup = seconds(value, name); break;
    case OPT_SECONDS: o->seconds = seconds(value, name); break;
    case OPT_STUCK: o->stuck = seconds(value, name); break;
    case OPT_TIMEOUT: o->timeout = seconds(value, name); break;
    case OPT_PREFIX: o->prefix = value; break;
    case OPT_SUFFIX: o->suffix = value; break;
    case OPT_SOCKETIO: o->socketio = true; break;
    case OPT_CENTRIFUGE: o->centrifuge = true; break;
    case OPT_WAIT: o->wait = true; break;
    case OPT_SPIN: o->spin = true; break;
    }
}

void options_parse(struct options *o, int argc, char **argv)
{
    *o = (struct options){.mode = MODE_FANOUT,
                          .host = "127.0.0.1",
                          .path = "/ws",
                          .connections = 100,
                          .opening = 64,
                          .publishers = 1,
                          .window = 1,
                          .size = 128,
                          .rooms = 100,
                          .room_size = 10,
                          .warmup = 0.2,
                          .seconds = 1,
                          .stuck = 5,
                          .timeout = 60,
                          .prefix = "",
                          .suffix = ""};
    int index = 0, code;
    while ((code = getopt_long(argc, argv, "", known, &index)) != -1) {
        if (code == '?')
            exit(2);
        apply(o, (enum option_code)code, known[index].name, optarg);
    }
    if (optind != argc)
        refuse("unexpected argument");
    check(o);
}

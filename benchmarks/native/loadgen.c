/* The load generator: one process, one thread, loopback only. See options.h for what it can do.
 *
 * It opens its connections and warms the server up, prints {"event":"ready",...}, waits for a line on stdin
 * if told to (the harness reads the server's CPU time at that moment), runs the measured phase, and prints
 * {"event":"done",...}. It ends by itself: by time, by count, when nothing arrives any more, and by alarm()
 * as the last resort. Exit codes: 0 done (look at "complete"), 1 could not open the connections, 2 wrong
 * options.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "traffic.h"
#include "wire.h"

/* After the last delivery: time for a doubled message to show. */
enum { GRACE_NS = 50000000 };
/* A stalled member that is read again: it is at the end when nothing has come for so long. */
static const uint64_t DRAIN_QUIET_NS = 500000000, DRAIN_MOST_NS = 5000000000;

static uint64_t nanoseconds(double seconds)
{
    return (uint64_t)(seconds * 1e9);
}

static double own_cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void turn_until(struct traffic *traffic, uint64_t end_ns)
{
    while (now_ns() < end_ns)
        traffic_turn(traffic);
}

/* Sends for `seconds` (or until the limit is reached), then lets arrive what is under way. False when nothing
 * arrived for the time after which a server counts as stuck. `*end_ns` is the time of the last delivery. */
static bool run_phase(struct traffic *traffic, double length, uint64_t limit, uint64_t hard_end_ns,
                      uint64_t *end_ns)
{
    uint64_t stop_ns = now_ns() + nanoseconds(length), stuck = nanoseconds(traffic->options->stuck);
    uint64_t before = ledger_counts(traffic->ledger).deliveries;
    *end_ns = now_ns();
    traffic_start(traffic, limit);
    for (;;) {
        traffic_turn(traffic);
        uint64_t now = now_ns(), deliveries = ledger_counts(traffic->ledger).deliveries;
        if (deliveries != before) {
            before = deliveries;
            *end_ns = now;
        }
        if (now >= stop_ns || (limit != 0 && traffic->sent >= limit))
            traffic->sending = false;
        if (!traffic->sending && ledger_all_in_flight(traffic->ledger) == 0)
            return true;
        /* A slow rate is no stop: only what is under way can be stuck. */
        if (ledger_all_in_flight(traffic->ledger) != 0 && (now - *end_ns > stuck || now > hard_end_ns)) {
            traffic->sending = false;
            return false;
        }
    }
}

static uint32_t stalled_closed(const struct traffic *traffic)
{
    const struct options *o = traffic->options;
    uint32_t closed = 0;
    for (uint32_t i = o->connections - o->stalled; i < o->connections; i++)
        closed += client_connection(traffic->client, i)->phase == GONE;
    return closed;
}

/* The stalled members are read at last, to see whether and how the server has closed them. */
static void report_stalled(struct traffic *traffic)
{
    const struct options *o = traffic->options;
    if (o->stalled == 0)
        return;
    uint64_t before = client_bytes(traffic->client), bytes = before, begin = now_ns(), changed = begin;
    for (uint32_t i = o->connections - o->stalled; i < o->connections; i++)
        client_wake(traffic->client, client_connection(traffic->client, i));
    while (stalled_closed(traffic) < o->stalled && now_ns() - changed < DRAIN_QUIET_NS &&
           now_ns() - begin < DRAIN_MOST_NS) {
        traffic_turn(traffic);
        if (client_bytes(traffic->client) != bytes) {
            bytes = client_bytes(traffic->client);
            changed = now_ns();
        }
    }
    printf(",\"stalled_closed\":%u,\"stalled_code\":%u,\"stalled_bytes\":%llu", stalled_closed(traffic),
           client_connection(traffic->client, o->connections - 1)->close_code,
           (unsigned long long)(bytes - before));
}

static void report(struct traffic *traffic, bool complete, double elapsed, double cpu, uint64_t bytes)
{
    struct counts counts = ledger_counts(traffic->ledger);
    printf("{\"event\":\"done\",\"complete\":%s,\"seconds\":%.6f,\"cpu_seconds\":%.6f",
           complete ? "true" : "false", elapsed, cpu);
    printf(",\"messages\":%llu,\"deliveries\":%llu,\"bytes\":%llu", (unsigned long long)counts.messages,
           (unsigned long long)counts.deliveries, (unsigned long long)bytes);
    printf(",\"lost\":%llu,\"doubled\":%llu,\"reordered\":%llu,\"damaged\":%llu,\"foreign\":%llu",
           (unsigned long long)counts.lost, (unsigned long long)counts.doubled,
           (unsigned long long)counts.reordered, (unsigned long long)counts.damaged,
           (unsigned long long)counts.foreign);
    printf(",\"closed\":%llu,\"close_code\":%u", (unsigned long long)traffic->closed, traffic->close_code);
    printf(",\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f",
           (double)ledger_latency(traffic->ledger, 0.5) / 1e3,
           (double)ledger_latency(traffic->ledger, 0.99) / 1e3,
           (double)ledger_latency(traffic->ledger, 1) / 1e3);
    report_stalled(traffic);
    printf("}\n");
    fflush(stdout);
}

static void say_ready(struct traffic *traffic, double open_seconds)
{
    const struct histogram *handshakes = client_handshakes(traffic->client);
    printf("{\"event\":\"ready\",\"connections\":%u,\"open_seconds\":%.6f,\"handshake_p50_us\":%.1f,"
           "\"handshake_p99_us\":%.1f}\n",
           client_open_count(traffic->client), open_seconds, (double)histogram_at(handshakes, 0.5) / 1e3,
           (double)histogram_at(handshakes, 0.99) / 1e3);
    fflush(stdout);
    char line[16];
    if (traffic->options->wait && fgets(line, sizeof line, stdin) == NULL)
        exit(0); /* the harness is gone: nobody wants the rest */
}

static void measure(struct traffic *traffic, uint64_t hard_end_ns)
{
    const struct options *o = traffic->options;
    bool complete = true;
    uint64_t begin = now_ns(), end = begin, bytes = client_bytes(traffic->client);
    double cpu = own_cpu();
    ledger_restart(traffic->ledger);
    traffic->closed = 0;
    if (o->mode != MODE_IDLE)
        complete = run_phase(traffic, o->seconds, o->messages, hard_end_ns, &end);
    cpu = own_cpu() - cpu;
    bytes = client_bytes(traffic->client) - bytes;
    turn_until(traffic, now_ns() + GRACE_NS);
    report(traffic, complete, (double)(end - begin) / 1e9, cpu, bytes);
}

int main(int argc, char **argv)
{
    struct options options;
    struct traffic traffic;
    options_parse(&options, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    alarm((unsigned)options.timeout + 10);
    traffic_init(&traffic, &options);

    uint64_t begin = now_ns(), ignored, hard_end = begin + nanoseconds(options.timeout);
    if (!client_open_all(traffic.client, hard_end))
        return 1;
    double open_seconds = (double)(now_ns() - begin) / 1e9;
    for (uint32_t i = options.connections - options.stalled; i < options.connections; i++)
        client_stall(traffic.client, client_connection(traffic.client, i));
    if (options.mode != MODE_IDLE && options.warmup > 0)
        run_phase(&traffic, options.warmup, 0, hard_end, &ignored);
    say_ready(&traffic, open_seconds);
    measure(&traffic, hard_end);
    client_close_all(traffic.client);
    return 0;
}

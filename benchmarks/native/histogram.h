/* Latencies, counted in buckets that are 1/64 of their value wide: exact enough for a percentile, and of
 * fixed size. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 64, HISTOGRAM_BUCKETS = 64 * HISTOGRAM_STEPS };

struct histogram {
    uint64_t total;
    uint64_t count[HISTOGRAM_BUCKETS];
};

void histogram_clear(struct histogram *histogram);
void histogram_add(struct histogram *histogram, uint64_t value);

/* The middle of the bucket in which the given share (0 to 1) of the values ends; 0 when there are none. */
uint64_t histogram_at(const struct histogram *histogram, double share);

#endif

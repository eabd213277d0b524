#include "histogram.h"

#include <string.h>

void histogram_clear(struct histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    /* Below 64 each value has its own bucket; above, the top 7 bits of the value choose it. */
    uint32_t shift = value < HISTOGRAM_STEPS ? 0 : (uint32_t)(57 - __builtin_clzll(value));
    histogram->count[shift * HISTOGRAM_STEPS + (uint32_t)(value >> shift)]++;
    histogram->total++;
}

uint64_t histogram_at(const struct histogram *histogram, double share)
{
    uint64_t below = 0, wanted = (uint64_t)(share * (double)histogram->total);
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        below += histogram->count[bucket];
        if (histogram->count[bucket] == 0 || (below <= wanted && below != histogram->total))
            continue;
        uint32_t shift = bucket < 2 * HISTOGRAM_STEPS ? 0 : bucket / HISTOGRAM_STEPS - 1;
        uint64_t low = (uint64_t)(bucket - shift * HISTOGRAM_STEPS) << shift;
        return low + (shift > 0 ? (uint64_t)1 << (shift - 1) : 0);
    }
    return 0;
}

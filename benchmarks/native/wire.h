/* RFC 6455 as both native programs need it: the handshake key, frame headers, and a clock. No sockets. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum opcode {
    OP_CONTINUATION = 0x0,
    OP_TEXT = 0x1,
    OP_BINARY = 0x2,
    OP_CLOSE = 0x8,
    OP_PING = 0x9,
    OP_PONG = 0xA
};

/* Length of base64(20 bytes) with its terminating zero. */
#define ACCEPT_SIZE 29
/* Longest frame header: 2 + 8 bytes of length + 4 bytes of mask (RFC 6455, section 5.2). */
#define HEADER_MAX 14

struct frame {
    bool fin;
    bool masked;
    uint8_t reserved; /* the three RSV bits; none is negotiated, so it must be 0 */
    uint8_t opcode;
    uint8_t mask[4];
    size_t header; /* bytes before the payload */
    uint64_t length;
};

enum parse { PARSE_OK, PARSE_MORE, PARSE_BAD };

/* Reads one frame header from `data`. PARSE_MORE: it is not all there yet. PARSE_BAD: reserved bits or an
 * absurd length. */
enum parse frame_parse(const uint8_t *data, size_t available, struct frame *out);

/* Writes a header of a FIN frame and returns its size. With `mask` the frame is a client's. */
size_t frame_header(uint8_t *out, uint8_t opcode, uint64_t length, const uint8_t *mask);

/* XORs `length` bytes with the mask (RFC 6455, section 5.3), from `in` to `out`; they may be the same. */
void frame_mask(uint8_t *out, const uint8_t *in, size_t length, const uint8_t mask[4]);

/* Sec-WebSocket-Key of 16 given bytes, and the Sec-WebSocket-Accept that must answer it (section 4.2.2). */
void handshake_key(const uint8_t nonce[16], char key[25]);
void handshake_accept(const char *key, size_t key_length, char accept[ACCEPT_SIZE]);

/* Finds a header's value in an HTTP head, whatever the case of its name. NULL when it is not there. */
const char *http_header(const char *head, size_t head_length, const char *name, size_t *value_length);

/* Nanoseconds of the monotonic clock. */
uint64_t now_ns(void);

#endif

#include "wire.h"

#include <string.h>
#include <strings.h>
#include <time.h>

/* ---- SHA-1 (FIPS 180-4), only as much as the handshake needs ---- */

static uint32_t rotate(uint32_t value, int bits)
{
    return (value << bits) | (value >> (32 - bits));
}

static void sha1_block(uint32_t state[5], const uint8_t block[64])
{
    uint32_t w[80];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);

    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20) {
            f = (b & c) | (~b & d);
            k = 0x5A827999;
        } else if (i < 40) {
            f = b ^ c ^ d;
            k = 0x6ED9EBA1;
        } else if (i < 60) {
            f = (b & c) | (b & d) | (c & d);
            k = 0x8F1BBCDC;
        } else {
            f = b ^ c ^ d;
            k = 0xCA62C1D6;
        }
        uint32_t next = rotate(a, 5) + f + e + k + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

/* Two blocks are enough: the longest input is a 64-byte key and the 36-byte GUID. */
static void sha1_short(const uint8_t *data, size_t length, uint8_t digest[20])
{
    uint8_t padded[128] = {0};
    size_t total = length + 9 <= 64 ? 64 : 128;
    memcpy(padded, data, length);
    padded[length] = 0x80;
    uint64_t bits = (uint64_t)length * 8;
    for (int i = 0; i < 8; i++)
        padded[total - 1 - i] = (uint8_t)(bits >> (8 * i));

    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    for (size_t at = 0; at < total; at += 64)
        sha1_block(state, padded + at);
    for (int i = 0; i < 20; i++)
        digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(const uint8_t *data, size_t length, char *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < length; i += 3) {
        uint32_t group = (uint32_t)data[i] << 16;
        if (i + 1 < length)
            group |= (uint32_t)data[i + 1] << 8;
        if (i + 2 < length)
            group |= data[i + 2];
        *out++ = letters[group >> 18];
        *out++ = letters[group >> 12 & 63];
        *out++ = i + 1 < length ? letters[group >> 6 & 63] : '=';
        *out++ = i + 2 < length ? letters[group & 63] : '=';
    }
    *out = '\0';
}

/* ---- handshake ---- */

void handshake_key(const uint8_t nonce[16], char key[25])
{
    base64(nonce, 16, key);
}

void handshake_accept(const char *key, size_t key_length, char accept[ACCEPT_SIZE])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t joined[64 + sizeof guid], digest[20];
    if (key_length > 64)
        key_length = 64;
    memcpy(joined, key, key_length);
    memcpy(joined + key_length, guid, sizeof guid - 1);
    sha1_short(joined, key_length + sizeof guid - 1, digest);
    base64(digest, sizeof digest, accept);
}

const char *http_header(const char *head, size_t head_length, const char *name, size_t *value_length)
{
    size_t name_length = strlen(name);
    const char *end = head + head_length;
    const char *line = head;
    while (line < end) {
        const char *stop = memchr(line, '\r', (size_t)(end - line));
        if (stop == NULL)
            stop = end;
        if ((size_t)(stop - line) > name_length && line[name_length] == ':' &&
            strncasecmp(line, name, name_length) == 0) {
            const char *value = line + name_length + 1;
            while (value < stop && (*value == ' ' || *value == '\t'))
                value++;
            *value_length = (size_t)(stop - value);
            return value;
        }
        line = stop + 2;
    }
    return NULL;
}

/* ---- frames ---- */

enum parse frame_parse(const uint8_t *data, size_t available, struct frame *out)
{
    if (available < 2)
        return PARSE_MORE;
    out->fin = (data[0] & 0x80) != 0;
    out->reserved = data[0] & 0x70;
    out->opcode = data[0] & 0x0F;
    out->masked = (data[1] & 0x80) != 0;
    out->length = data[1] & 0x7F;
    size_t extended = out->length == 126 ? 2 : out->length == 127 ? 8 : 0;
    out->header = 2 + extended + (out->masked ? 4 : 0);
    if (available < out->header)
        return PARSE_MORE;
    if (extended != 0) {
        out->length = 0;
        for (size_t i = 0; i < extended; i++)
            out->length = out->length << 8 | data[2 + i];
    }
    if (out->masked)
        memcpy(out->mask, data + 2 + extended, 4);
    return out->reserved != 0 || out->length > (1u << 30) ? PARSE_BAD : PARSE_OK;
}

size_t frame_header(uint8_t *out, uint8_t opcode, uint64_t length, const uint8_t *mask)
{
    size_t size = 2;
    uint8_t mask_bit = mask != NULL ? 0x80 : 0;
    out[0] = 0x80 | opcode;
    if (length < 126) {
        out[1] = mask_bit | (uint8_t)length;
    } else {
        size_t extended = length < 65536 ? 2 : 8;
        out[1] = mask_bit | (extended == 2 ? 126 : 127);
        for (size_t i = 0; i < extended; i++)
            out[2 + i] = (uint8_t)(length >> (8 * (extended - 1 - i)));
        size += extended;
    }
    if (mask != NULL) {
        memcpy(out + size, mask, 4);
        size += 4;
    }
    return size;
}

void frame_mask(uint8_t *out, const uint8_t *in, size_t length, const uint8_t mask[4])
{
    for (size_t i = 0; i < length; i++)
        out[i] = in[i] ^ mask[i & 3];
}

uint64_t now_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

#include "upgrade.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

/* The key is made from the connection's number, so that the answer can be checked without keeping the key. */
static void key_of(uint32_t id, char key[25])
{
    uint8_t nonce[16] = "hubbub-bench";
    memcpy(nonce + 12, &id, 4);
    handshake_key(nonce, key);
}

size_t upgrade_request(const struct options *options, uint32_t id, char request[UPGRADE_MAX])
{
    char key[25];
    key_of(id, key);
    int length = snprintf(request, UPGRADE_MAX,
                          "GET %s HTTP/1.1\r\nHost: %s:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
                          options->path, options->host, options->port, key);
    if (length < 0 || length >= UPGRADE_MAX) {
        fprintf(stderr, "loadgen: --path is too long\n");
        exit(2);
    }
    return (size_t)length;
}

ssize_t upgrade_check(uint32_t id, const uint8_t *data, size_t length)
{
    const char *head = (const char *)data;
    const char *end = memmem(head, length, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t head_length = (size_t)(end - head) + 4, value_length;
    char key[25], accept[ACCEPT_SIZE];
    key_of(id, key);
    handshake_accept(key, strlen(key), accept);
    const char *value = http_header(head, head_length, "sec-websocket-accept", &value_length);
    bool right = strncmp(head, "HTTP/1.1 101 ", 13) == 0 && value != NULL &&
                 value_length == ACCEPT_SIZE - 1 && memcmp(value, accept, value_length) == 0;
    if (!right)
        fprintf(stderr, "loadgen: not the answer to a WebSocket upgrade: %.*s\n",
                (int)(memchr(head, '\r', head_length) - (const void *)head), head);
    return right ? (ssize_t)head_length : -1;
}

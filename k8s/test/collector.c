// A collector in the test cluster: it answers every request, and says what came with it, one request a line.
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 4318
#define MOST (8 << 20)

static char request[MOST + 1];

// Reads until there are a head and as much as it says, and returns where the body begins; NULL if it does not come.
static char *body_of(int from) {
    size_t have = 0;
    char *body = NULL;
    size_t length = 0;
    while (have < MOST) {
        ssize_t more = read(from, request + have, MOST - have);
        if (more <= 0) return NULL;
        have += (size_t)more;
        request[have] = 0;
        if (!body && (body = strstr(request, "\r\n\r\n"))) {
            *body = 0;
            body += 4;
            char *said = strcasestr(request, "content-length:");
            length = said ? strtoul(said + 15, NULL, 10) : 0;
        }
        if (body && have >= (size_t)(body - request) + length) return body;
    }
    return NULL;
}

static void end(int signal) {
    (void)signal;
    _exit(0);
}

int main(void) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    signal(SIGTERM, end);
    int door = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = INADDR_ANY};
    if (bind(door, (struct sockaddr *)&here, sizeof here) || listen(door, 64)) return 1;
    for (;;) {
        int from = accept(door, NULL, NULL);
        if (from < 0) continue;
        char *body = body_of(from);
        if (body) {
            puts(body);
            fflush(stdout);
            if (write(from, answer, sizeof answer - 1) < 0) perror("write");
        }
        close(from);
    }
}

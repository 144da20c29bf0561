/* Sends prepared datagrams as fast as sendto takes them, and prints the CPU time of one in microseconds.
 * flood FILE DATAGRAM_BYTES ADDRESS PORT LOCAL_PORT COUNT */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

int main(int argc, char **argv) {
    static unsigned char datagrams[1 << 22];
    if (argc != 7) return 2;
    FILE *file = fopen(argv[1], "rb");
    if (file == NULL) return perror(argv[1]), 1;
    size_t size = (size_t)atol(argv[2]), held = fread(datagrams, 1, sizeof datagrams, file) / size;
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[5]))};
    struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[4]))};
    if (held == 0 || inet_pton(AF_INET, argv[3], &target.sin_addr) != 1) return 2;
    if (bind(udp, (struct sockaddr *)&own, sizeof own) != 0) return perror("bind"), 1;
    long count = atol(argv[6]);
    for (long number = 0; number < count; number++)
        if (sendto(udp, datagrams + (size_t)number % held * size, size, 0, (struct sockaddr *)&target, sizeof target) < 0)
            return perror("sendto"), 1;
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("%f\n", (seconds(used.ru_utime) + seconds(used.ru_stime)) * 1e6 / (double)count);
    return 0;
}
